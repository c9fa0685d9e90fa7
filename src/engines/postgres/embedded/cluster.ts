/**
 * The embedded cluster: a PostgreSQL primary with its standbys in one directory, for laptops, tests and small servers.
 *
 * One process owns the directory at a time; data stays between runs; a run that was killed is recovered by the next
 * start. The servers listen on Unix sockets that only the owner's user can reach, and stop when the owner dies.
 */

import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import { FourfoldError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import type { PostgresAddress } from '../address.ts'
import { sqlState } from '../client.ts'
import { findAccount } from './account.ts'
import { attendStandbys } from './attendant.ts'
import { type Binaries, prepareBinaries } from './binaries.ts'
import { onConnection, socketAddress } from './connection.ts'
import * as data from './data.ts'
import { clearLeftovers } from './leftovers.ts'
import { type Ownership, takeOwnership } from './owner.ts'
import { listData, makePlace, removePlace } from './place.ts'
import { createServer, type Server } from './server.ts'
import {
  type ClusterSettings,
  portOf,
  primaryName,
  replicaName,
  serverArguments,
  standbyArguments,
} from './settings.ts'

export interface EmbeddedClusterOptions {
  /** Everything is kept here. Made where there is none. */
  readonly directory: string
  /** How many standbys; they may become more or fewer from one start to the next. */
  readonly replicas: number
  /** The database that is made, if it is not there. */
  readonly database: string
  readonly log: Logger
  /** Of each server, at least: a directory keeps the largest it ever had. Default 100. */
  readonly maxConnections?: number
  /** Default `logical`. */
  readonly walLevel?: 'replica' | 'logical'
  /** More of PostgreSQL's settings, for every server: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether a standby that can never catch up again (promoted, its log gone) is made anew by itself. Default true. */
  readonly healStandbys?: boolean
  /** How long a standby may be awake without receiving before it is made anew. Default 10,000. */
  readonly standbyPatienceMs?: number
}

export interface ServerProcess {
  readonly role: 'primary' | 'replica'
  readonly index: number
  /** The server's first process (postmaster). */
  readonly pid: number
}

export interface EmbeddedCluster {
  readonly primary: PostgresAddress
  readonly replicas: readonly PostgresAddress[]
  /** The servers that run now. */
  processes(): ServerProcess[]
  /** Makes a standby replay commits only when they are this old, for testing; 0 ends it. Forgotten at the next start. */
  setReplicaDelay(index: number, ms: number): Promise<void>
  /** Stops and starts one server: `primary`, `replica-0`, … */
  restart(name: string): Promise<void>
  /** Makes a standby anew from the primary. */
  rebuildReplica(index: number): Promise<void>
  /** Stops everything and gives the directory back. May be called twice. */
  stop(): Promise<void>
}

/** @throws FF_ENGINE_OWNED, FF_ENGINE_START, FF_ENGINE_PLATFORM, FF_CORE_PACKAGE_MISSING */
export async function startEmbeddedCluster(options: EmbeddedClusterOptions): Promise<EmbeddedCluster> {
  const ownership = await takeOwnership(options.directory)
  try {
    return await startOwned(options, ownership)
  } catch (error) {
    await ownership.release()
    throw error
  }
}

/** Stops what runs in the directory without an owner, and deletes its data. @throws FF_ENGINE_OWNED */
export async function resetEmbeddedCluster(directory: string): Promise<void> {
  const ownership = await takeOwnership(directory)
  try {
    const place = await makePlace(directory, await findAccount())
    await Promise.all((await listData(place)).map((name) => clearLeftovers(place.data(name), place.socket(name))))
    await removePlace(directory)
  } finally {
    await ownership.release()
  }
}

interface Foundation extends data.DataSource {
  readonly binaries: Binaries
  readonly settings: ClusterSettings
  readonly options: EmbeddedClusterOptions
  /** On the database that every cluster has. */
  readonly upkeep: PostgresAddress
}

async function startOwned(options: EmbeddedClusterOptions, ownership: Ownership): Promise<EmbeddedCluster> {
  const base = await prepare(options)
  const names = Array.from({ length: options.replicas }, (_, index) => replicaName(index))
  const primary = defineServer(primaryName, base)
  const standbys = names.map((name) => defineServer(name, base))
  const servers = [primary, ...standbys]
  try {
    await startServers(base, primary, standbys)
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()))
    throw error
  }
  const replicas = names.map((name) => socketAddress(base.place.sockets, portOf(name), options.database))
  const attended = options.healStandbys === false ? [] : standbys
  const stopAttending = attendStandbys({
    primary: base.upkeep,
    standbys: attended.map((server, index) => ({ server, address: replicas[index] as PostgresAddress })),
    log: options.log,
    everyMs: 2_000,
    patienceMs: options.standbyPatienceMs ?? 10_000,
  })
  return {
    primary: { ...base.upkeep, database: options.database },
    replicas,
    processes: () => servers.flatMap(describeProcess),
    setReplicaDelay: (index, ms) => setDelay(replicas[index], ms),
    restart: (name) => find(servers, name).restart(),
    rebuildReplica: (index) => find(servers, replicaName(index)).rebuild(),
    async stop() {
      // All at once: each has at most a few log records that the others will ask for at the next start.
      await Promise.all([...servers.map((server) => server.stop()), stopAttending()])
      await rm(base.place.sockets, { recursive: true, force: true })
      await ownership.release()
    },
  }
}

/** Everything before the first server runs. */
async function prepare(options: EmbeddedClusterOptions): Promise<Foundation> {
  const account = await findAccount()
  const place = await makePlace(options.directory, account)
  const binaries = await prepareBinaries(place.root, account)
  const settings: ClusterSettings = {
    maxConnections: await data.keepLargest(options.maxConnections ?? 100, { place, account }),
    walLevel: options.walLevel ?? 'logical',
    settings: options.settings ?? {},
  }
  const base: Foundation = {
    account,
    place,
    binaries,
    settings,
    options,
    upkeep: socketAddress(place.sockets, portOf(primaryName), 'postgres'),
  }
  await data.clearUnfinished(base)
  const existing = await listData(place)
  await Promise.all(existing.map((name) => clearLeftovers(place.data(name), place.socket(name))))
  if (!existing.includes(primaryName)) await makeFirstData(base, existing)
  return base
}

/** An empty cluster is copied for its standbys before anything runs, which is the fastest way there is. */
async function makeFirstData(base: Foundation, existing: readonly string[]): Promise<void> {
  await Promise.all(existing.map((name) => data.removeData(name, base)))
  await data.initialisePrimary(base.binaries.initdb, base.settings, base)
  const copies = Array.from({ length: base.options.replicas }, (_, index) => data.copyAtRest(replicaName(index), base))
  await Promise.all(copies)
}

function defineServer(name: string, base: Foundation): Server {
  const { place, settings, account, binaries } = base
  const standby = name === primaryName ? [] : standbyArguments(name, place.sockets)
  return createServer({
    name,
    log: base.options.log,
    launch: {
      postgres: binaries.postgres,
      arguments: [...serverArguments(place.data(name), place.sockets, portOf(name), settings), ...standby],
      data: place.data(name),
      socket: place.socket(name),
      log: place.log(name),
      account,
    },
    repair: name === primaryName ? undefined : () => makeStandby(name, base),
  })
}

async function startServers(base: Foundation, primary: Server, standbys: readonly Server[]): Promise<void> {
  // Standbys with data of their own start together with the primary and connect when it is there.
  const usable = await Promise.all(standbys.map((server) => data.isStandbyData(base.place.data(server.name))))
  const early = standbys.filter((_, index) => usable[index])
  const late = standbys.filter((_, index) => !usable[index])
  const [started] = await Promise.allSettled([
    primary.start().then(() => makeReady(base, standbys)),
    ...early.map((server) => startStandby(server, base)),
  ])
  if (started.status === 'rejected') throw started.reason
  await Promise.all(
    standbys.map(async (server) => {
      if (late.includes(server) || server.pid === null) await remake(server, base)
    }),
  )
  await Promise.all(standbys.map((_, index) => untilReplayed(base, index)))
}

async function startStandby(server: Server, base: Foundation): Promise<void> {
  await data.clearAlteredSettings(base.place.data(server.name), base.account)
  await server.start()
}

async function remake(server: Server, base: Foundation): Promise<void> {
  await server.stop()
  await makeStandby(server.name, base)
  await server.start()
}

async function makeStandby(name: string, base: Foundation): Promise<void> {
  await clearLeftovers(base.place.data(name), base.place.socket(name))
  await data.ensureSlot(name, base.upkeep, true)
  await data.copyOnline(name, base.upkeep, base)
}

/** On the primary: the slots, also those to take away, and the app's database. */
async function makeReady(base: Foundation, standbys: readonly Server[]): Promise<void> {
  const names = standbys.map((server) => server.name)
  const extra = (await listData(base.place)).filter((name) => name !== primaryName && !names.includes(name))
  for (const name of names) await data.ensureSlot(name, base.upkeep, false)
  for (const name of extra) {
    await data.dropSlot(name, base.upkeep)
    await data.removeData(name, base)
  }
  await onConnection(base.upkeep, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [base.options.database])
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(base.options.database)}`)
  })
}

const replayDeadlineMs = 30_000

/** A standby is of use when it has replayed the making of the database. */
async function untilReplayed(base: Foundation, index: number): Promise<void> {
  const address = socketAddress(base.place.sockets, portOf(replicaName(index)), base.options.database)
  const end = performance.now() + replayDeadlineMs
  for (;;) {
    try {
      await onConnection(address, (client) => client.query('select 1'))
      return
    } catch (error) {
      if (performance.now() > end || sqlState(error) === null) throw error
      await delay(15)
    }
  }
}

async function setDelay(address: PostgresAddress | undefined, ms: number): Promise<void> {
  if (address === undefined) throw new RangeError('There is no replica with this index')
  await onConnection(address, async (client) => {
    await client.query(`alter system set recovery_min_apply_delay = ${Math.round(ms)}`)
    await client.query('select pg_reload_conf()')
  })
}

function describeProcess(server: Server): ServerProcess[] {
  if (server.pid === null) return []
  const role = server.name === primaryName ? 'primary' : 'replica'
  return [{ role, index: role === primaryName ? 0 : Number(server.name.slice('replica-'.length)), pid: server.pid }]
}

function find(servers: readonly Server[], name: string): Server {
  const server = servers.find((one) => one.name === name)
  if (server === undefined) {
    const message = `There is no server "${name}"; there are ${servers.map((one) => one.name).join(', ')}`
    throw new FourfoldError('FF_ENGINE_START', message)
  }
  return server
}

export { readOwner, type Owner } from './owner.ts'
