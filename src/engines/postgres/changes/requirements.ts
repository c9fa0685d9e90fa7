/**
 * What a server must allow for the change stream, as data: from facts to findings, each with the exact fix. The doctor
 * prints all of them; the start asks only whether anything stands in the way.
 */

import type { DdlPolicy } from './installation.ts'
import { isSynchronous } from './observation.ts'
import type { SlotFacts, ServerFacts } from './server-facts.ts'

export interface Finding {
  /** Stable, for programs. */
  readonly id: string
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was found. */
  readonly what: string
  /** What to do: SQL, or the step at the hosted service. */
  readonly fix?: string
  /** What cannot be while it is so. */
  readonly blocks?: 'stream' | 'cache'
}

export interface Wanted {
  readonly ddl: DdlPolicy
}

/** The oldest version whose slots can tell messages from rows, and whose slots are bounded. */
const oldestVersion = 140_000

type Judge = (facts: ServerFacts, wanted: Wanted) => Finding

const judges: readonly Judge[] = [
  judgeVersion,
  judgePrimary,
  judgeWalLevel,
  judgeSlots,
  judgeSenders,
  judgeReplication,
  judgeCreate,
  judgeSynchronous,
  judgePublication,
  judgeEventTriggers,
  judgeOwnership,
  judgeKeepSize,
  judgeSlot,
]

export function judgeServer(facts: ServerFacts, wanted: Wanted): Finding[] {
  return judges.map((judge) => judge(facts, wanted))
}

function ok(id: string, what: string): Finding {
  return { id, level: 'ok', what }
}

function fail(id: string, what: string, fix: string, blocks: 'stream' | 'cache' = 'stream'): Finding {
  return { id, level: 'fail', what, fix, blocks }
}

function judgeVersion({ version, versionText }: ServerFacts): Finding {
  const id = 'version'
  if (version >= oldestVersion) return ok(id, `PostgreSQL ${versionText}`)
  return fail(id, `PostgreSQL ${versionText} is too old for the change stream`, 'Upgrade to PostgreSQL 14 or later.')
}

function judgePrimary({ inRecovery }: ServerFacts): Finding {
  const id = 'primary'
  if (!inRecovery) return ok(id, 'it is the primary')
  return fail(id, 'it is a standby', "Let databases.<name>.url lead to the primary; standbys belong under 'replicas'.")
}

function judgeWalLevel({ walLevel, service }: ServerFacts): Finding {
  const id = 'wal_level'
  if (walLevel === 'logical') return ok(id, 'wal_level is logical')
  const sql = "ALTER SYSTEM SET wal_level = 'logical'; then restart the server"
  return fail(id, `wal_level is ${walLevel}`, walLevelSteps[service ?? ''] ?? sql)
}

const walLevelSteps: Readonly<Record<string, string>> = {
  'Amazon RDS': 'In the parameter group set rds.logical_replication = 1, then reboot the instance.',
  'Amazon Aurora': 'In the parameter group of the cluster set rds.logical_replication = 1, then reboot the writer.',
  'Google Cloud SQL': 'Set the flag cloudsql.logical_decoding = on (the instance restarts).',
  Azure: 'Under Server parameters set wal_level = LOGICAL, save and restart.',
  Neon: 'In the settings of the project, under Logical Replication, choose Enable.',
}

function judgeSlots({ maxSlots, usedSlots, slot }: ServerFacts): Finding {
  const id = 'max_replication_slots'
  const what = `${usedSlots} of ${maxSlots} replication slots are in use`
  if (slot !== null || usedSlots < maxSlots) return ok(id, what)
  return fail(id, what, `ALTER SYSTEM SET max_replication_slots = ${maxSlots + 5}; then restart the server`)
}

function judgeSenders({ maxSenders, usedSenders, slot }: ServerFacts): Finding {
  const id = 'max_wal_senders'
  const what = `${usedSenders} of ${maxSenders} walsenders are in use`
  if (slot?.active === true || usedSenders < maxSenders) return ok(id, what)
  return fail(id, what, `ALTER SYSTEM SET max_wal_senders = ${maxSenders + 5}; then restart the server`)
}

function judgeReplication({ replicationError, role, service }: ServerFacts): Finding {
  const id = 'replication'
  if (replicationError === null) return ok(id, `${role} may replicate`)
  const sql = `ALTER ROLE ${role} REPLICATION`
  const fix = service?.startsWith('Amazon') === true ? `GRANT rds_replication TO ${role}` : sql
  const pooler = 'If the address leads to a pooler, set databases.<name>.directUrl; see also pg_hba.conf.'
  return fail(id, `no replication connection as ${role}: ${replicationError}`, `${fix}. ${pooler}`)
}

function judgeCreate({ mayCreate, publication, role, database }: ServerFacts): Finding {
  const id = 'create'
  if (mayCreate || publication !== null) return ok(id, `${role} may make what the stream needs`)
  return fail(id, `${role} may not make a publication`, `GRANT CREATE ON DATABASE ${database} TO ${role}`)
}

function judgeSynchronous({ synchronous }: ServerFacts): Finding {
  const id = 'synchronous_standby_names'
  if (!isSynchronous(synchronous)) return ok(id, 'commits do not wait for the tracker')
  const fix = "Name the standbys: ALTER SYSTEM SET synchronous_standby_names = 'standby_1'; SELECT pg_reload_conf()"
  return fail(id, `synchronous_standby_names is '${synchronous}': commits would wait for the tracker`, fix)
}

function judgePublication({ publication }: ServerFacts): Finding {
  const id = 'publication'
  if (publication === null) return ok(id, 'the publication will be made by the tracker')
  if (publication.allTables) {
    const what = 'the publication fourfold is FOR ALL TABLES, which breaks UPDATE on tables without a key'
    return fail(id, what, 'DROP PUBLICATION fourfold (the tracker makes it anew, with the tables that are needed)')
  }
  const { tables } = publication
  const list = tables.length > 8 ? `${tables.slice(0, 8).join(', ')} and more` : tables.join(', ')
  return ok(id, `${tables.length} tables are in the publication${list === '' ? '' : `: ${list}`}`)
}

function judgeEventTriggers({ triggers, triggerError, service }: ServerFacts, { ddl }: Wanted): Finding {
  const id = 'event-triggers'
  if (ddl === 'migrations-only') return ok(id, "ddl is 'migrations-only': DDL is announced by migrations alone")
  if (triggers.present === triggers.wanted) return ok(id, 'the event triggers are there, and always on')
  if (triggerError === null) return ok(id, 'event triggers may be made')
  const setup = 'Run once: npx fourfold doctor --setup --as postgres://SUPERUSER@HOST/DATABASE'
  const steps = service?.startsWith('Amazon') === true ? 'Run it once as the master user: --setup --as …' : setup
  const promise = "or set ddl: 'migrations-only', if tables are altered only by the migrations of this app"
  return fail(id, `event triggers cannot be made: ${triggerError}`, `${steps}; ${promise}`, 'cache')
}

function judgeOwnership({ notOwned, role }: ServerFacts): Finding {
  const id = 'ownership'
  if (notOwned.length === 0) return ok(id, `${role} owns the tables`)
  const names = notOwned.slice(0, 5).join(', ')
  const what = `${role} does not own ${notOwned.length} tables, which are not watched: ${names}${notOwned.length > 5 ? ', …' : ''}`
  return { id, level: 'warn', what, fix: `ALTER TABLE ${notOwned[0]} OWNER TO ${role}, or be a member of its owner` }
}

function judgeKeepSize({ keepSizeMb }: ServerFacts): Finding {
  const id = 'max_slot_wal_keep_size'
  if (keepSizeMb >= 0) return ok(id, `max_slot_wal_keep_size is ${keepSizeMb} MB`)
  const what = 'max_slot_wal_keep_size is -1: without a tracker the log grows until the disc is full'
  const fix = "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()"
  return { id, level: 'warn', what, fix }
}

const manyBytes = 1024 ** 3

function judgeSlot({ slot }: ServerFacts): Finding {
  const id = 'slot'
  if (slot === null) return ok(id, 'the slot will be made by the tracker')
  const what = describeSlot(slot)
  if (slot.status === 'lost') {
    return {
      id,
      level: 'warn',
      what,
      fix: 'Start the app: the tracker makes the slot anew. Raise max_slot_wal_keep_size.',
    }
  }
  if (slot.active && slot.retainedBytes < manyBytes) return ok(id, what)
  const fix = slot.active
    ? 'The tracker is behind: see its log.'
    : `Start the app, or take the slot away: npx fourfold doctor --remove-stream`
  return { id, level: 'warn', what, fix }
}

function describeSlot({ name, active, status, retainedBytes }: SlotFacts): string {
  const megabytes = Math.round(retainedBytes / 1024 ** 2)
  return `the slot ${name} is ${active ? 'read' : 'read by nobody'}, keeps ${megabytes} MB of the log (${status ?? 'unknown'})`
}
