/** What a test of the tracker stands on: a database of its own, a store that can be killed, and tracker processes. */

import pg from 'pg'

import type { EmbeddedCluster } from '../../src/engines/postgres/embedded/cluster.ts'
import { parseLsn, type Lsn } from '../../src/engines/position.ts'
import type { Store } from '../../src/store/store.ts'
import { ChangeFollower } from './change-follower.ts'
import { MessageReader } from './change-stream.ts'
import { connect, endAfter, until, type Cleanup } from './postgres.ts'
import { startStoreProcess, type StoreProcess } from './store-process.ts'
import { spawnTracker, type Plant, type TrackerProcess } from './tracker-process.ts'

export interface Ground {
  readonly cluster: EmbeddedCluster
  /** The app's name of the database: its own in the store. */
  readonly name: string
  readonly database: string
  readonly client: pg.Client
  readonly storeProcess: StoreProcess
  readonly store: Store
  readonly reader: MessageReader
  readonly follower: ChangeFollower
  /** Another connection to the database. */
  connect(): Promise<pg.Client>
  /** Starts a tracker, with what is planted for this run. */
  spawn(): TrackerProcess
  /** Does so, and waits until it streams. */
  start(): Promise<TrackerProcess>
  /** Follows messages until the watermark is at a position. */
  reach(position: Lsn): Promise<void>
  /** The slot's position; 0 where there is none. */
  confirmed(): Promise<Lsn>
}

let made = 0

export interface GroundOptions {
  readonly plants?: readonly Plant[]
  /** A store that others use as well: nobody kills it. Default: one of its own. */
  readonly storeProcess?: StoreProcess | undefined
}

export async function makeGround(t: Cleanup, cluster: EmbeddedCluster, options: GroundOptions = {}): Promise<Ground> {
  made += 1
  const name = `main${made}`
  const database = `ground_${process.pid}_${made}`
  const admin = await connect(t, cluster.primary)
  await admin.query(`create database ${database} strategy wal_log`)
  endAfter(t, () => dropDatabase(cluster, database))
  const address = { ...cluster.primary, database }
  const client = await connect(t, address)
  const storeProcess = options.storeProcess ?? (await startStoreProcess())
  if (options.storeProcess === undefined) endAfter(t, () => storeProcess.stop())
  const store = await storeProcess.connect({ deadlineMs: 1000 })
  endAfter(t, () => store.close())
  const reader = new MessageReader(store, name)
  const follower = new ChangeFollower()
  const storeUrl = `unix:${storeProcess.settings.socketPath}`
  const spawn = (): TrackerProcess => spawnTracker(t, { database: name, address, storeUrl }, options.plants)
  return {
    cluster,
    name,
    database,
    client,
    storeProcess,
    store,
    reader,
    follower,
    connect: () => connect(t, address),
    spawn,
    start: async () => {
      const tracker = spawn()
      await tracker.ready()
      return tracker
    },
    reach: async (position) => {
      await reader.until(`the watermark to reach ${position}`, (messages) => {
        follower.follow(messages)
        return follower.watermark >= position
      })
    },
    confirmed: async () => {
      const { rows } = await client.query(SLOT_SQL)
      return rows[0] === undefined ? 0 : parseLsn(rows[0].lsn)
    },
  }
}

const SLOT_SQL = `
select confirmed_flush_lsn::text as lsn from pg_replication_slots where database = current_database()`

/** The slot belongs to the whole server, and goes first. The server may have crashed meanwhile. */
async function dropDatabase(cluster: EmbeddedCluster, database: string): Promise<void> {
  await until('the database to be dropped', async () => {
    const admin = new pg.Client({ ...(cluster.primary as pg.ClientConfig), query_timeout: 5000 })
    admin.on('error', () => undefined)
    try {
      await admin.connect()
      await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1', [
        database,
      ])
      await admin.query(`drop database if exists ${database} with (force)`)
      return true
    } finally {
      await admin.end()
    }
  })
}
