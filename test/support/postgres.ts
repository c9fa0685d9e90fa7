/** Embedded clusters for tests: quick, in a directory of their own, gone afterwards. */

import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pg from 'pg'

import { silentLogger } from '../../src/core/log.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { pauseAfter } from './wait-for.ts'
import {
  type EmbeddedCluster,
  type EmbeddedClusterOptions,
  startEmbeddedCluster,
} from '../../src/engines/postgres/embedded/cluster.ts'

/** What ends a resource: a test's context, or `{ after }` of a suite. */
export type Cleanup = Pick<TestContext, 'after'> | { after(end: () => Promise<void>): void }

const endings = new WeakMap<Cleanup, (() => Promise<unknown>)[]>()

/**
 * Ends what was begun last first, unlike `t.after`: connections, then servers, then their directory. What fails to end
 * keeps nothing before it from ending.
 */
export function endAfter(t: Cleanup, end: () => Promise<unknown>): void {
  const known = endings.get(t)
  if (known !== undefined) {
    known.push(end)
    return
  }
  const stack = [end]
  endings.set(t, stack)
  t.after(async () => {
    const failures: unknown[] = []
    for (const next of stack.toReversed()) {
      try {
        await next()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  })
}

/** A new directory that servers can reach: as root, they run as another user. In memory where the system has a place for that. */
export async function newDirectory(prefix = 'fourfold-'): Promise<string> {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const directory = await mkdtemp(join(parent, prefix))
  await chmod(directory, 0o755)
  return directory
}

/** A new directory for servers, removed afterwards. */
export async function makeDirectory(t: Cleanup, prefix = 'fourfold-'): Promise<string> {
  const directory = await newDirectory(prefix)
  endAfter(t, () => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A cluster in a new directory (or the one given), stopped before the directory goes. Durability is off: nobody cuts the power of a test. */
export async function startTestCluster(
  t: Cleanup,
  options: Partial<EmbeddedClusterOptions> = {},
): Promise<EmbeddedCluster> {
  const directory = options.directory ?? (await makeDirectory(t))
  const cluster = await startEmbeddedCluster({
    replicas: 1,
    database: 'main',
    log: silentLogger,
    ...options,
    directory,
    settings: { fsync: 'off', ...options.settings },
  })
  endAfter(t, () => cluster.stop())
  return cluster
}

/** One connection, closed afterwards. Losing it is no uncaught error. */
export async function connect(t: Cleanup, address: PostgresAddress): Promise<pg.Client> {
  const client = new pg.Client({
    ...(address as pg.ClientConfig),
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
  })
  client.on('error', () => undefined)
  await client.connect()
  endAfter(t, () => client.end().catch(() => undefined))
  return client
}

/** Waits until `check` answers something other than undefined, null or false; what it throws counts as not yet. */
export async function until<T>(what: string, check: () => Promise<T>, deadlineMs = 10_000): Promise<NonNullable<T>> {
  const begun = performance.now()
  let last: unknown
  for (let askedMs = begun; askedMs < begun + deadlineMs; askedMs = performance.now()) {
    try {
      last = await check()
      if (last !== undefined && last !== null && last !== false) return last as NonNullable<T>
    } catch (error) {
      last = error
    }
    const nowMs = performance.now()
    const pauseMs = Math.max(10, pauseAfter(nowMs - askedMs, nowMs - begun))
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  throw new Error(
    `Waited ${deadlineMs} ms for ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
    { cause: last },
  )
}

/** Waits until a standby has replayed everything that the primary has done so far. */
export async function untilReplayed(primary: pg.Client, replica: pg.Client): Promise<void> {
  const { rows } = await primary.query(`select pg_logical_emit_message(false, 'test', '', true)::text as lsn`)
  await until('the replica to catch up', async () => {
    const found = await replica.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as caught_up', [rows[0].lsn])
    return found.rows[0].caught_up === true
  })
}
