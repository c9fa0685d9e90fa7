/**
 * The PostgreSQL servers beneath the system, seen from outside by what they write into their data directories. Those
 * of `own` are started by the system; those of `main` by the harness, as a cluster that somebody else runs.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import pg from 'pg'

import { startRoundRobinEndpoint } from '../../support/round-robin-endpoint.ts'
import { silentLogger } from '../../../src/core/log.ts'
import { startEmbeddedCluster } from '../../../src/engines/postgres/embedded/cluster.ts'

export type ServerName = 'primary' | 'replica-1' | 'replica-2'

/** The servers of one cluster that runs in a directory. */
export class Servers {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** The server's first process, or -1. */
  pid(name: ServerName): number {
    return Number(this.#describe(name)[0] ?? -1)
  }

  /** Its Unix socket. */
  socket(name: ServerName): { readonly directory: string; readonly port: number } {
    const lines = this.#describe(name)
    return { directory: lines[4] ?? '', port: Number(lines[3]) }
  }

  /** Makes a replica replay commits only when they are this old. Forgotten when its owner starts it anew. */
  async delay(name: ServerName, ms: number): Promise<void> {
    await this.with(name, async (client) => {
      await client.query(`alter system set recovery_min_apply_delay = ${ms}`)
      await client.query('select pg_reload_conf()')
    })
  }

  /** Runs work on a connection to one server. */
  async with<T>(name: ServerName, work: (client: pg.Client) => Promise<T>): Promise<T> {
    const { directory, port } = this.socket(name)
    const client = new pg.Client({ host: directory, port, user, database: databaseName, ...deadlines })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await work(client)
    } finally {
      client.end().catch(() => undefined)
    }
  }

  /** The lines of its lock file, see PostgreSQL's miscadmin.h; none while it is down. */
  #describe(name: ServerName): string[] {
    const folder = name === 'primary' ? name : `replica-${Number(name.slice('replica-'.length)) - 1}`
    try {
      return readFileSync(join(this.#directory, 'servers', folder, 'postmaster.pid'), 'utf8').split('\n')
    } catch {
      return []
    }
  }
}

const user = 'fourfold'
const databaseName = 'app'
const deadlines = { connectionTimeoutMillis: 5_000, query_timeout: 30_000 }

export interface OutsideCluster {
  readonly servers: Servers
  /** How the app is told of it. */
  readonly env: Readonly<Record<string, string>>
  /** The same after {@link failOver}: the first replica is the primary, the second its replica. */
  readonly envAfterFailover: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** A primary and two replicas, each with an address of its own and both behind a round-robin endpoint. */
export async function startOutsideCluster(directory: string): Promise<OutsideCluster> {
  const cluster = await startEmbeddedCluster({
    directory,
    replicas: 2,
    database: databaseName,
    log: silentLogger,
    // Less than the change stream will need: tokens and replicas work without it.
    walLevel: 'replica',
    // Nobody helps a replica that is promoted.
    healStandbys: false,
  })
  const servers = new Servers(directory)
  const sockets = [servers.socket('replica-1'), servers.socket('replica-2')]
  const endpoint = await startRoundRobinEndpoint(sockets.map((at) => join(at.directory, `.s.PGSQL.${at.port}`)))
  const own = (name: ServerName): string => {
    const at = servers.socket(name)
    return `postgres://${user}@/${databaseName}?host=${encodeURIComponent(at.directory)}&port=${at.port}`
  }
  const shared = `postgres://${user}@127.0.0.1:${endpoint.port}/${databaseName}?options=-c%20verify.via%3Dendpoint`
  return {
    servers,
    env: describe(own('primary'), [own('replica-1'), own('replica-2'), shared]),
    envAfterFailover: describe(own('replica-1'), [own('replica-2')]),
    stop: async () => {
      await endpoint.close()
      await cluster.stop()
    },
  }
}

function describe(primary: string, replicas: readonly string[]): Record<string, string> {
  return { FOURFOLD_DATABASES_MAIN_URL: primary, FOURFOLD_DATABASES_MAIN_REPLICAS: replicas.join(',') }
}
