/** A real PostgreSQL of its own for the store's tests, which may be killed and paused. */

import { readdirSync, readFileSync } from 'node:fs'

import pg from 'pg'

import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import type { EmbeddedCluster } from '../../src/engines/postgres/embedded/cluster.ts'
import { createSqlStore } from '../../src/store/sql/sql-store.ts'
import { until, type StoreServerUnderTest } from '../../src/testing/index.ts'
import { freeze } from './freeze.ts'
import { startTestCluster, type Cleanup } from './postgres.ts'

export interface SqlStoreServer extends StoreServerUnderTest {
  readonly address: PostgresAddress
  readonly cluster: EmbeddedCluster
}

export async function startSqlStoreServer(
  options: {
    readonly replicas?: number
    /** Leads clients elsewhere: to a pooler in front of the server. */
    readonly through?: (t: Cleanup, address: PostgresAddress) => Promise<PostgresAddress>
  } = {},
): Promise<SqlStoreServer> {
  let end: () => Promise<void> = async () => undefined
  const t: Cleanup = { after: (ending: () => Promise<void>) => void (end = ending) }
  const cluster = await startTestCluster(t, { replicas: options.replicas ?? 0 })
  const address = cluster.primary
  const reached = (await options.through?.(t, address)) ?? address
  let resume = (): void => undefined
  return {
    address,
    cluster,
    connect: async ({ deadlineMs }) => createSqlStore({ address: reached, deadlineMs }),
    restart: () => crash(address),
    pause: () => {
      const { pid } = cluster.processes().find(({ role }) => role === 'primary')!
      resume = freeze([pid, ...childrenOf(pid)])
    },
    resume: () => resume(),
    stop: () => end(),
  }
}

/**
 * Kills one of the server's processes, after which PostgreSQL kills all others and recovers from its log: what a
 * machine that went down comes back to. The address stays.
 */
async function crash(address: PostgresAddress): Promise<void> {
  await (
    await prepareCrash(address)
  )()
}

/** The same at once, when what is answered is called. */
export async function prepareCrash(address: PostgresAddress): Promise<() => Promise<void>> {
  const witness = await openClient(address)
  const ended = new Promise((resolve) => witness.once('end', resolve))
  const victim = await openClient(address)
  const { rows } = await victim.query('select pg_backend_pid() as pid')
  return async () => {
    process.kill(rows[0].pid, 'SIGKILL')
    // It ends only because the server has noticed.
    await ended
    await until('the server has recovered', async () => (await openClient(address)).end())
  }
}

async function openClient(address: PostgresAddress): Promise<pg.Client> {
  const client = new pg.Client({ ...(address as pg.ClientConfig), connectionTimeoutMillis: 2000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    client.end().catch(() => undefined)
    throw error
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
}

function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return null
  }
}
