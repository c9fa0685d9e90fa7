/**
 * What the system stands on, started by the harness: a primary with two replicas, and Redis, each behind an address of
 * its own that can be cut off.
 */

import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { createClient } from 'redis'

import { ensureRedis, type RedisService } from '../../../scripts/services.ts'
import { silentLogger } from '../../../src/core/log.ts'
import { startEmbeddedCluster } from '../../../src/engines/postgres/embedded/cluster.ts'
import { Servers, type ServerName } from '../sessions/servers.ts'
import { startProxies, type RemoteProxy } from './proxies.ts'

export interface Ground {
  readonly servers: Servers
  readonly proxies: Readonly<Record<ServerName | 'redis', RemoteProxy>>
  readonly redis: RedisUnderTest
  /** How the app is told of it. */
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** A Redis that keeps nothing, except in the copies that it is asked to make. */
export class RedisUnderTest {
  readonly #directory: string
  #service: RedisService

  private constructor(directory: string, service: RedisService) {
    this.#directory = directory
    this.#service = service
  }

  static async start(directory: string): Promise<RedisUnderTest> {
    await mkdir(directory, { recursive: true })
    return new RedisUnderTest(directory, await ensureRedis({ args: ['--dir', directory] }))
  }

  get port(): number {
    return this.#service.port
  }

  get pid(): number {
    return this.#service.child.pid ?? -1
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#service.stop()
  }

  /** Empty, or with what the last copy holds. */
  async startAgain(from: 'nothing' | 'copy'): Promise<void> {
    const dump = join(this.#directory, 'dump.rdb')
    await rm(dump, { force: true })
    if (from === 'copy') await copyFile(join(this.#directory, 'copy.rdb'), dump)
    this.#service = await ensureRedis({ port: this.port, args: ['--dir', this.#directory] })
  }

  async copy(): Promise<void> {
    const client = createClient({ url: this.#service.url })
    client.on('error', () => undefined)
    await client.connect()
    await client.sendCommand(['SAVE'])
    client.destroy()
    await copyFile(join(this.#directory, 'dump.rdb'), join(this.#directory, 'copy.rdb'))
  }
}

export async function startGround(directory: string): Promise<Ground> {
  const place = join(directory, 'servers')
  const cluster = await startEmbeddedCluster({
    directory: place,
    replicas: 2,
    database: 'app',
    log: silentLogger,
    settings: { fsync: 'off' },
  })
  const redis = await RedisUnderTest.start(join(directory, 'redis'))
  const servers = new Servers(place)
  const socketOf = (name: ServerName): string => {
    const at = servers.socket(name)
    return join(at.directory, `.s.PGSQL.${at.port}`)
  }
  const { proxies, close } = await startProxies({
    primary: { path: socketOf('primary') },
    'replica-1': { path: socketOf('replica-1') },
    'replica-2': { path: socketOf('replica-2') },
    redis: { port: redis.port, host: '127.0.0.1' },
  })
  const url = (name: ServerName): string => `postgres://fourfold@127.0.0.1:${proxies[name].port}/app`
  return {
    servers,
    proxies,
    redis,
    env: {
      FOURFOLD_DATABASES_MAIN_URL: url('primary'),
      FOURFOLD_DATABASES_MAIN_REPLICAS: [url('replica-1'), url('replica-2')].join(','),
      FOURFOLD_STORE_URL: `redis://127.0.0.1:${proxies.redis.port}`,
    },
    async stop() {
      await close()
      await redis.kill()
      await cluster.stop()
    },
  }
}
