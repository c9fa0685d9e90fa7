/** One live connection to a memcached, pipelined. */

import type { MemcacheNode } from 'memcache'

import { FourfoldError } from '../../core/errors.ts'
import type { CallerConnection, DialOptions, Judgement } from '../caller.ts'

export interface MemcachedAddress {
  readonly host: string
  readonly port: number
}

export interface MemcachedConnection extends CallerConnection {
  /** The longest text that the server takes for a value. */
  readonly maxTextBytes: number
  get(keys: readonly string[]): Promise<(readonly [string, string])[]>
  set(key: string, text: string, seconds: number): Promise<void>
  delete(key: string): Promise<void>
  ping(): Promise<void>
}

/** The client ends connections on which nothing came for so long; ours have their own deadlines. */
const noTimeoutMs = 2 ** 31 - 1
/** What an item's size counts besides its value: key, head, flags. */
const itemOverheadBytes = 512

/** Connects, and asks how large a value may be. The connection counts only when it has answered. */
export async function dialMemcached(
  { host, port }: MemcachedAddress,
  { signal, onLost }: DialOptions<MemcachedConnection>,
): Promise<MemcachedConnection> {
  const { createNode } = await loadPackage()
  signal.throwIfAborted()
  const node = createNode(host, port, { timeout: noTimeoutMs })
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  const connection = new LiveConnection(node, onLost)
  try {
    await Promise.race([connection.open(), aborted])
    return connection
  } catch (error) {
    connection.hangUp()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

class LiveConnection implements MemcachedConnection {
  received = 0
  maxTextBytes = 0
  private readonly node: MemcacheNode
  private over = false

  constructor(node: MemcacheNode, onLost: DialOptions<MemcachedConnection>['onLost']) {
    this.node = node
    const lost = (reason?: unknown): void => {
      if (!this.over) onLost(this, reason ?? new Error('the connection was closed'))
    }
    node.on('error', lost)
    node.on('close', () => lost())
  }

  async open(): Promise<void> {
    await this.node.connect()
    const settings = (await this.send('stats settings', { isStats: true })) as Record<string, string>
    this.maxTextBytes = Number(settings['item_size_max'] ?? 1024 * 1024) - itemOverheadBytes
  }

  async get(keys: readonly string[]): Promise<(readonly [string, string])[]> {
    const answer = await this.send(`get ${keys.join(' ')}`, { isMultiline: true, requestedKeys: [...keys] })
    const { values = [], foundKeys = [] } = answer as { values?: string[]; foundKeys?: string[] }
    return foundKeys.map((key, index) => [key, values[index]!] as const)
  }

  async set(key: string, text: string, seconds: number): Promise<void> {
    await this.send(`set ${key} 0 ${seconds} ${text.length}\r\n${text}`)
  }

  async delete(key: string): Promise<void> {
    await this.send(`delete ${key}`)
  }

  async ping(): Promise<void> {
    await this.send('version')
  }

  hangUp(): void {
    if (this.over) return
    this.over = true
    void this.node.disconnect()
  }

  private async send(command: string, options?: Parameters<MemcacheNode['command']>[1]): Promise<unknown> {
    try {
      return (await this.node.command(command, options)) as unknown
    } finally {
      this.received += 1
    }
  }
}

/** The server's answers of refusal; everything else is the connection's. */
export function judgeMemcached(error: unknown): Judgement {
  return error instanceof Error && /^(CLIENT_ERROR|SERVER_ERROR|ERROR)/.test(error.message) ? 'refused' : 'broken'
}

export function isTooLarge(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('SERVER_ERROR object too large')
}

async function loadPackage(): Promise<typeof import('memcache')> {
  try {
    return await import('memcache')
  } catch (error) {
    throw new FourfoldError(
      'FF_CORE_PACKAGE_MISSING',
      'the memcached driver needs the package "memcache": npm install memcache',
      { cause: error },
    )
  }
}
