/**
 * The embedded cluster: a PostgreSQL primary with its standbys in one directory, for laptops, tests and small servers.
 *
 * One process owns the directory at a time; data stays between runs; a run that was killed is recovered by the next
 * start. The servers listen on Unix sockets that only the owner's user can reach, and stop when the owner dies.
 */

import { rm } from 'node:fs/promises'

import { FourfoldError } from '../../../core/errors.ts'
import type { PostgresAddress } from '../address.ts'
import { findAccount } from './account.ts'
import { attendStandbys } from './attendant.ts'
import { onConnection, socketAddress } from './connection.ts'
import { defineServer, type EmbeddedClusterOptions, layFoundation } from './foundation.ts'
import { clearLeftovers } from './leftovers.ts'
import { type Ownership, takeOwnership } from './owner.ts'
import { listData, makePlace, removePlace } from './place.ts'
import type { Server } from './server.ts'
import { portOf, primaryName, replicaName } from './settings.ts'
import { startServers } from './start-servers.ts'

export type { EmbeddedClusterOptions } from './foundation.ts'
export { type Owner, readOwner } from './owner.ts'

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

async function startOwned(options: EmbeddedClusterOptions, ownership: Ownership): Promise<EmbeddedCluster> {
  const base = await layFoundation(options)
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
