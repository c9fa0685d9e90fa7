/**
 * The supervised system under the harness, as one process that can be killed like any supervisor: an embedded primary
 * and two replicas, a round-robin endpoint before the replicas, the store, and clones of the harness's app. The
 * harness talks to it over IPC: `{ id, command, argument }`, answered by `{ id, result }` or `{ id, error }`.
 */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import pg from 'pg'

import { startRoundRobinEndpoint } from '../../support/round-robin-endpoint.ts'
import { waitFor } from '../../support/wait-for.ts'
import { createSupervisor } from '../../../src/clones/supervisor.ts'
import { formatAddress } from '../../../src/clones/protocol.ts'
import { createLogger, type LogLevel } from '../../../src/core/log.ts'
import { startEmbeddedCluster } from '../../../src/engines/postgres/embedded/cluster.ts'
import { prepareDatabase } from '../../../src/engines/postgres/prepare.ts'

import type { DatabaseConnections } from '../../../src/app/connections.ts'
import type { PostgresAddress } from '../../../src/engines/postgres/address.ts'

export interface SystemSettings {
  readonly directory: string
  readonly clones: number
  readonly keys: readonly string[]
  /** Whether a standby that cannot catch up is made anew. */
  readonly healStandbys: boolean
  readonly secret: string
  readonly maxStalenessMs: number
}

export interface CloneChange {
  /** The breach that is planted, or empty. */
  readonly plant: string
  readonly onPrimaryDown: 'serve' | 'refuse'
  readonly maxStalenessMs: number
}

export interface CloneProcess {
  readonly name: string
  readonly pid: number
  readonly url: string
}

export interface SystemProcesses {
  readonly clones: readonly CloneProcess[]
  readonly store: number
  readonly primary: number
  readonly replicas: readonly number[]
}

const settings = JSON.parse(process.env['VERIFY_SYSTEM'] ?? '{}') as SystemSettings
const logLevel = (process.env['VERIFY_LOG'] ?? 'silent') as LogLevel
const log = createLogger({ level: logLevel, name: 'system' })
process.once('disconnect', () => process.exit(1))

const cluster = await startEmbeddedCluster({
  directory: join(settings.directory, 'database'),
  replicas: 2,
  database: 'app',
  log,
  maxConnections: 100,
  // Less than the change stream will need: tokens and replicas work without it.
  walLevel: 'replica',
  healStandbys: settings.healStandbys,
})
await prepareDatabase({ name: 'main', address: cluster.primary, migrations: undefined, timeoutMs: 5_000, log })
await withClient(cluster.primary, async (client) => {
  await client.query('create table if not exists counters (key text primary key, version bigint not null)')
  await client.query('create table if not exists filler (bytes text)')
  await client.query('insert into counters select unnest($1::text[]), 0 on conflict do nothing', [settings.keys])
})

const endpoint = await startRoundRobinEndpoint(cluster.replicas.map(({ host, port }) => join(host, `.s.PGSQL.${port}`)))
let database: DatabaseConnections = {
  primary: cluster.primary,
  direct: cluster.primary,
  replicas: [
    ...cluster.replicas.map((address, index) => ({ name: `replica-${index}`, address })),
    { name: 'endpoint', address: { ...cluster.primary, host: '127.0.0.1', port: endpoint.port } },
  ],
  poolSize: 8,
}
let change: CloneChange = { plant: '', onPrimaryDown: 'serve', maxStalenessMs: settings.maxStalenessMs }

const supervisor = createSupervisor({ log })
await mkdir(settings.directory, { recursive: true })
const socketPath = join(settings.directory, 'store.sock')
await supervisor.run({
  kind: 'store',
  count: 1,
  together: false,
  spec: () => ({
    entry: new URL('../../../src/app/processes/store.ts', import.meta.url),
    settings: { socketPath, logPath: join(settings.directory, 'store.log'), logLevel },
  }),
})
await supervisor.run({
  kind: 'clone',
  count: settings.clones,
  spec: (index) => ({
    entry: new URL('../../../src/app/processes/clone.ts', import.meta.url),
    settings: cloneSettings(index),
    env: { VERIFY_PLANT: change.plant },
    writes: 'refuse',
    graceMs: 3_000,
  }),
})

function cloneSettings(index: number): unknown {
  const { onPrimaryDown, maxStalenessMs } = change
  return {
    name: `clone-${index}`,
    appFile: fileURLToPath(new URL('app.ts', import.meta.url)),
    connections: { databases: { main: database }, storeUrl: `unix:${socketPath}` },
    config: {
      logLevel,
      databases: { main: { onPrimaryDown, maxStaleness: maxStalenessMs } },
      sessions: { secrets: [settings.secret] },
    },
    writes: 'refuse',
    logLevel,
  }
}

const commands: Record<string, (argument: never) => Promise<unknown>> = {
  processes: async (): Promise<SystemProcesses> => ({
    clones: readyClones(),
    store: supervisor.members('store')[0]?.process.pid ?? -1,
    primary: serverPid('primary', 0),
    replicas: cluster.replicas.map((_, index) => serverPid('replica', index)),
  }),
  change: async (wanted: CloneChange) => {
    change = wanted
    await supervisor.restart('clone')
  },
  delay: ({ index, ms }: { index: number; ms: number }) => cluster.setReplicaDelay(index, ms),
  failOver,
  stop: async () => {
    await supervisor.stop()
    await endpoint.close()
    await cluster.stop()
    setTimeout(() => process.exit(0), 20)
  },
}

function readyClones(): CloneProcess[] {
  return supervisor.members('clone').flatMap(({ id, process: child, address, state }) => {
    if (address === undefined || (state !== 'ready' && state !== 'unresponsive')) return []
    return [{ name: id, pid: child.pid, url: `http://${formatAddress(address)}` }]
  })
}

function serverPid(role: 'primary' | 'replica', index: number): number {
  return (
    cluster.processes().find((server) => server.role === role && (role === 'primary' || server.index === index))?.pid ??
    -1
  )
}

/**
 * Promotes the first replica while it lacks log that the second has, which then stands on a history of its own, ahead
 * of the new primary: the state in which numbers without epochs mislead. What is lost is filler that no history names.
 */
async function failOver(): Promise<void> {
  const [first, second] = cluster.replicas
  if (first === undefined || second === undefined) throw new Error('expected two replicas')
  const sender = await withClient(cluster.primary, async (client) => {
    const { rows } = await client.query("select pid from pg_stat_replication where application_name = 'replica-0'")
    return Number(rows[0].pid)
  })
  process.kill(sender, 'SIGSTOP')
  const end = await withClient(cluster.primary, async (client) => {
    for (let round = 0; round < 12; round += 1) {
      await client.query('insert into filler select repeat(md5(n::text), 30) from generate_series(1, 1000) n')
    }
    return String((await client.query('select pg_current_wal_flush_lsn() as lsn')).rows[0].lsn)
  })
  await withClient(second, async (client) => {
    const isReplayed = async (): Promise<boolean> =>
      (await client.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as done', [end])).rows[0].done
    await waitFor('the second replica to replay', isReplayed, 20_000)
  })
  await withClient(first, async (client) => {
    await client.query('select pg_promote(false)')
    const isPrimary = async (): Promise<boolean> =>
      !(await client.query('select pg_is_in_recovery() as standby')).rows[0].standby
    await waitFor('the promotion', isPrimary, 20_000)
    const { rows } = await client.query('select $1::pg_lsn - pg_current_wal_lsn() > 2000000 as ahead', [end])
    if (rows[0].ahead !== true) throw new Error('expected the other replica to be ahead of the promoted one')
  })
  process.kill(sender, 'SIGCONT')
  database = { ...database, primary: first, direct: first, replicas: [{ name: 'replica-1', address: second }] }
  await prepareDatabase({ name: 'main', address: first, migrations: undefined, timeoutMs: 5_000, log })
  await supervisor.restart('clone')
}

async function withClient<T>(address: PostgresAddress, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(address as pg.ClientConfig)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

process.on('message', (message: { id: number; command: string; argument: never }) => {
  const run = commands[message.command]
  if (run === undefined) return
  run(message.argument).then(
    (result) => process.send?.({ id: message.id, result }),
    (error: unknown) => process.send?.({ id: message.id, error: String(error) }),
  )
})
supervisor.subscribe(() => process.send?.({ clones: readyClones() }, undefined, {}, () => undefined))
process.send?.({ clones: readyClones(), ready: true })
