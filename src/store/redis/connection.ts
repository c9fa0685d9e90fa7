/**
 * One live connection to a Redis or Valkey: a node-redis client that does not queue and does not reconnect, because
 * the link above does both by its own rules. A client of the user's is watched and never closed.
 */

import type { RedisClientOptions } from 'redis'
import { FourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { CallerConnection, DialOptions } from '../caller.ts'

/** As much of a node-redis client (version 5 and later) as the driver uses. */
export interface RedisClientLike {
  readonly isOpen: boolean
  readonly isReady: boolean
  /** For waits, which hold up everything else on their connection. Without it, waiting is asking again and again. */
  duplicate?(): RedisClientLike & { connect(): Promise<unknown>; destroy(): void }
  sendCommand<T>(args: readonly (string | Buffer)[], options?: { readonly typeMapping?: object }): Promise<T>
  on(event: string, listener: (reason?: unknown) => void): unknown
  off(event: string, listener: (reason?: unknown) => void): unknown
}

export type RedisArgument = string | Buffer

export interface RedisConnection extends CallerConnection {
  readonly incarnation: string
  send<T>(args: readonly RedisArgument[]): Promise<T>
}

interface RedisDialOptions extends DialOptions<RedisConnection> {
  /** Whether to ask who it is that answers, beside that it does. Default: true. */
  readonly introduce?: boolean
}

/** Connects, and learns who answers. The connection counts only when it has answered. */
export async function dialRedis(url: string, options: RedisDialOptions): Promise<RedisConnection> {
  const { createClient } = await loadPackage()
  options.signal.throwIfAborted()
  const settings: RedisClientOptions = {
    url,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: false },
    // Every call has a deadline of ours. The package's own makes a timer for each command that always runs out, and
    // with it an error with a stack: half of what a command costs.
    commandOptions: { timeout: undefined },
  }
  return open(createClient(settings), options)
}

/** The same on a connection of its own, with the settings of a client of the user's. */
export async function dialBeside(client: RedisClientLike, options: RedisDialOptions): Promise<RedisConnection> {
  const own = client.duplicate?.()
  if (own === undefined) throw new TypeError('this client cannot be duplicated')
  return open(own, options)
}

type OwnClient = ReturnType<NonNullable<RedisClientLike['duplicate']>>

async function open(client: OwnClient, options: RedisDialOptions): Promise<RedisConnection> {
  const destroy = (): void => {
    if (client.isOpen) client.destroy()
  }
  // Without a listener, node would end the process at the first error.
  client.on('error', () => undefined)
  options.signal.addEventListener('abort', destroy, { once: true })
  const connecting = client.connect()
  try {
    await untilAborted(connecting, options.signal)
    return await watch(client, destroy, options)
  } catch (error) {
    destroy()
    // A client that has not begun to connect cannot be destroyed yet, and would connect after all.
    connecting.then(destroy, () => undefined)
    throw error
  } finally {
    options.signal.removeEventListener('abort', destroy)
  }
}

/** The same for a client of the user's, which connects by itself. */
export async function adoptRedis(client: RedisClientLike, options: RedisDialOptions): Promise<RedisConnection> {
  if (!client.isReady) await untilAborted(once(client, 'ready', options.signal), options.signal)
  return watch(client, () => undefined, options)
}

async function watch(client: RedisClientLike, close: () => void, options: RedisDialOptions): Promise<RedisConnection> {
  const connection = new LiveConnection(client, close, options.onLost)
  try {
    await connection.prepare()
    const hello = options.introduce === false ? connection.send(['PING']) : connection.introduce(options.log)
    await untilAborted(hello, options.signal)
    return connection
  } catch (error) {
    connection.hangUp()
    throw error
  }
}

class LiveConnection implements RedisConnection {
  incarnation = ''
  received = 0
  private readonly client: RedisClientLike
  private readonly close: () => void
  private readonly lost: (reason?: unknown) => void
  private typeMapping: object = {}
  private over = false

  constructor(client: RedisClientLike, close: () => void, onLost: RedisDialOptions['onLost']) {
    this.client = client
    this.close = close
    this.lost = (reason) => {
      if (!this.over) onLost(this, reason ?? new Error('the connection was closed'))
    }
    for (const event of ['error', 'end', 'reconnecting']) client.on(event, this.lost)
  }

  async prepare(): Promise<void> {
    const { RESP_TYPES } = await loadPackage()
    this.typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.MAP]: Array }
  }

  /** Who answers: both ids change when another process answers, or when this one follows another's data. */
  async introduce(log: Logger): Promise<void> {
    const sections = ['server', 'replication', 'memory'].map((section) => this.send<Buffer>(['INFO', section]))
    const info = (await Promise.all(sections)).join('\r\n')
    this.incarnation = `${infoValue(info, 'run_id')}.${infoValue(info, 'master_replid')}`
    const policy = infoValue(info, 'maxmemory_policy')
    if (policy === 'noeviction' || infoValue(info, 'maxmemory') === '0') return
    log.warn(
      { policy },
      'this Redis may evict sessions and tokens when its memory is full; set maxmemory-policy noeviction',
    )
  }

  async send<T>(args: readonly RedisArgument[]): Promise<T> {
    try {
      return await this.client.sendCommand<T>(args, { typeMapping: this.typeMapping })
    } finally {
      this.received += 1
    }
  }

  hangUp(): void {
    if (this.over) return
    this.over = true
    for (const event of ['error', 'end', 'reconnecting']) this.client.off(event, this.lost)
    this.close()
  }
}

/** The value of a line of INFO, or '' where the server does not tell. */
export function infoValue(info: string, name: string): string {
  return info.match(new RegExp(`^${name}:(.*?)\\r?$`, 'm'))?.[1] ?? ''
}

export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function once(client: RedisClientLike, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const forget = (): void => {
      client.off(event, hear)
      signal.removeEventListener('abort', forget)
    }
    const hear = (): void => {
      forget()
      resolve()
    }
    client.on(event, hear)
    signal.addEventListener('abort', forget, { once: true })
  })
}

async function loadPackage(): Promise<typeof import('redis')> {
  try {
    return await import('redis')
  } catch (error) {
    throw new FourfoldError(
      'FF_CORE_PACKAGE_MISSING',
      'the redis driver needs the package "redis": npm install redis',
      { cause: error },
    )
  }
}
