/**
 * Making data directories: the primary's by initdb, a standby's as a copy of it.
 *
 * Each is built under a name of its own and renamed when it is whole, so that a start that was killed half-way leaves
 * nothing that looks like data.
 */

import { access, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { PostgresAddress } from '../address.ts'
import { type Account, giveTo } from './account.ts'
import { onConnection } from './connection.ts'
import { copyData } from './copy.ts'
import { makeEmptyCluster } from './empty-cluster.ts'
import { endProcessesIn } from './leftovers.ts'
import type { Place } from './place.ts'
import { type ClusterSettings, primaryName, slotName } from './settings.ts'

export interface DataSource {
  readonly place: Place
  readonly account: Account | null
}

/** A backup begins with a checkpoint of whatever is unwritten. */
const checkpointDeadlineMs = 120_000

/** Takes away what was never finished, and ends who may still be at it: an initdb outlives the start that was killed. */
export async function clearUnfinished({ place }: DataSource): Promise<void> {
  const names = await readdir(place.root)
  const unfinished = names.filter((name) => name.endsWith('.new') && !name.startsWith('binaries-'))
  await Promise.all(
    unfinished.map(async (name) => {
      await endProcessesIn(place.data(name))
      await remove(place.data(name))
    }),
  )
}

/**
 * The greatest limit that this directory's servers ever ran with. It never shrinks: a standby refuses to start with
 * less than its primary had when it wrote the log that is still to be replayed.
 */
export async function keepLargest(maxConnections: number, { place }: DataSource): Promise<number> {
  const file = join(place.root, 'limits.json')
  const known = readLimit(await readFile(file, 'utf8').catch(() => ''))
  if (known >= maxConnections) return known
  await writeFile(`${file}.new`, JSON.stringify({ maxConnections }))
  await rename(`${file}.new`, file)
  return maxConnections
}

/** What a damaged file said is not known: a standby that needs more says so, and is made anew. */
function readLimit(text: string): number {
  try {
    const { maxConnections } = JSON.parse(text) as { maxConnections?: unknown }
    return typeof maxConnections === 'number' ? maxConnections : 0
  } catch {
    return 0
  }
}

/** Makes an empty cluster. */
export async function initialisePrimary(initdb: string, wanted: ClusterSettings, source: DataSource): Promise<void> {
  const unfinished = source.place.data(`${primaryName}.new`)
  await makeEmptyCluster(unfinished, { initdb, settings: wanted, account: source.account })
  await rename(unfinished, source.place.data(primaryName))
}

/** Makes a standby's data while the primary is not running. */
export async function copyAtRest(name: string, source: DataSource): Promise<void> {
  await build(name, source, async (unfinished) => {
    await copyData(source.place.data(primaryName), unfinished, { account: source.account, withLog: true })
  })
}

/** Makes a standby's data while the primary runs, without holding it up. The slot must exist, or the log may be gone. */
export async function copyOnline(name: string, primary: PostgresAddress, source: DataSource): Promise<void> {
  await build(name, source, async (unfinished) => {
    const label = await onConnection(
      primary,
      async (client) => {
        await client.query('select pg_backup_start($1, true)', [`fourfold ${name}`])
        await copyData(source.place.data(primaryName), unfinished, { account: source.account, withLog: false })
        const { rows } = await client.query('select labelfile from pg_backup_stop(false)')
        return String(rows[0].labelfile)
      },
      { statementMs: checkpointDeadlineMs },
    )
    await write(join(unfinished, 'backup_label'), label, source.account)
  })
}

/** Makes sure that the slot is there and keeps the log from now on; a lost one is made anew. */
export async function ensureSlot(name: string, primary: PostgresAddress, fresh: boolean): Promise<void> {
  await onConnection(primary, async (client) => {
    if (fresh) await client.query(DROP_SLOT_SQL, [slotName(name)])
    await client.query(CREATE_SLOT_SQL, [slotName(name)])
  })
}

export async function dropSlot(name: string, primary: PostgresAddress): Promise<void> {
  await onConnection(primary, (client) => client.query(DROP_SLOT_SQL, [slotName(name)]))
}

/** Whether this can run as a standby: a promoted one has lost its signal file, and has a history of its own. */
export async function isStandbyData(data: string): Promise<boolean> {
  return access(join(data, 'standby.signal')).then(
    () => true,
    () => false,
  )
}

/** Drops what ALTER SYSTEM left on a standby: a delay of the run before. */
export async function clearAlteredSettings(data: string, account: Account | null): Promise<void> {
  await write(join(data, 'postgresql.auto.conf'), '', account)
}

export async function removeData(name: string, { place }: DataSource): Promise<void> {
  await remove(place.data(name))
}

async function build(name: string, source: DataSource, fill: (unfinished: string) => Promise<void>): Promise<void> {
  const unfinished = source.place.data(`${name}.new`)
  await remove(unfinished)
  await fill(unfinished)
  await write(join(unfinished, 'standby.signal'), '', source.account)
  await remove(source.place.data(name))
  await rename(unfinished, source.place.data(name))
}

async function write(path: string, text: string, account: Account | null): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
  await giveTo(account, path)
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

const DROP_SLOT_SQL =
  'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active'

// `true` keeps the log from this moment on, not from the standby's first connection.
const CREATE_SLOT_SQL = `
select pg_create_physical_replication_slot($1, true)
where not exists (select from pg_replication_slots where slot_name = $1)`
