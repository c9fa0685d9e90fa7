/** The replication slot: made, looked at, and given up. */

import type { QueryClient } from '../client.ts'
import { CURRENT_EPOCH_SQL } from '../epoch.ts'
import { parseLsn, type Epoch, type Lsn } from '../../position.ts'

export interface SlotState {
  /** From where on changes are sent. */
  readonly confirmed: Lsn
  /** Where the slot began; null where that was not written down. */
  readonly begun: Lsn | null
  readonly activePid: number | null
  /** Why it is of no use any more; null while it is. */
  readonly lost: string | null
  readonly epoch: Epoch | null
}

/** Null where there is no such slot. */
export async function readSlot(client: QueryClient, slot: string): Promise<SlotState | null> {
  const { rows } = await client.query(SLOT_SQL, [slot])
  const row = rows[0] as unknown as SlotRow | undefined
  if (row === undefined) return null
  return {
    confirmed: row.confirmed === null ? 0 : parseLsn(row.confirmed),
    begun: row.begun === null ? null : parseLsn(row.begun),
    activePid: row.pid,
    lost: describeLoss(row),
    epoch: row.epoch,
  }
}

interface SlotRow {
  readonly confirmed: string | null
  readonly begun: string | null
  readonly pid: number | null
  readonly wal: string | null
  readonly plugin: string | null
  readonly here: boolean
  readonly epoch: Epoch | null
}

function describeLoss({ wal, plugin, here, confirmed }: SlotRow): string | null {
  if (plugin !== 'pgoutput' || !here) return 'it belongs to something else'
  if (wal === 'lost') return 'the server has given its log up (max_slot_wal_keep_size)'
  return confirmed === null ? 'it has no position' : null
}

/** The server's process that reads the slot; null where nobody does, or where there is none. */
export async function readHolder(client: QueryClient, slot: string): Promise<number | null> {
  const { rows } = await client.query('select active_pid as pid from pg_replication_slots where slot_name = $1', [slot])
  return (rows[0]?.['pid'] as number | null | undefined) ?? null
}

/**
 * Makes the slot: resolves when every transaction that was open has ended, which the server waits for. The position is
 * written down behind it: until it was acknowledged, commits before it may not be visible yet.
 */
export async function createSlot(client: QueryClient, slot: string): Promise<Lsn> {
  // Whoever gives up waiting leaves nobody behind who waits on.
  await client.query(`set client_connection_check_interval = '2s'`).catch(() => undefined)
  const { rows } = await client.query('select lsn::text from pg_create_logical_replication_slot($1, $2)', [
    slot,
    'pgoutput',
  ])
  const begun = String(rows[0]?.lsn)
  await client.query(NOTE_SQL, [slot, begun])
  return parseLsn(begun)
}

/** @throws PostgreSQL's 55006 while somebody reads it */
export async function dropSlot(client: QueryClient, slot: string): Promise<void> {
  await client.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [
    slot,
  ])
}

/** A transaction with a number of its own, that changes nothing. */
export async function touchSlot(client: QueryClient, slot: string): Promise<void> {
  await client.query('update fourfold.stream_slot set begun = begun where slot = $1', [slot])
}

/** What a new slot waits for, in words. */
export async function oldestTransaction(client: QueryClient): Promise<string | null> {
  const { rows } = await client.query(OLDEST_SQL)
  const row = rows[0] as { pid: number; age: string; application: string } | undefined
  return row === undefined ? null : `process ${row.pid} (${row.application}), open for ${row.age}`
}

const SLOT_SQL = `
select s.confirmed_flush_lsn::text as confirmed, s.active_pid as pid, s.wal_status as wal, s.plugin,
  s.database = current_database() as here,
  (select n.begun::text from fourfold.stream_slot n where n.slot = s.slot_name) as begun,
  (${CURRENT_EPOCH_SQL}) as epoch
from pg_replication_slots s where s.slot_name = $1`

const NOTE_SQL = `
insert into fourfold.stream_slot (slot, begun) values ($1, $2::pg_lsn)
on conflict (slot) do update set begun = excluded.begun`

const OLDEST_SQL = `
select pid, application_name as application, date_trunc('second', now() - xact_start)::text as age
from pg_stat_activity where xact_start is not null and backend_xid is not null and pid <> pg_backend_pid()
order by xact_start limit 1`
