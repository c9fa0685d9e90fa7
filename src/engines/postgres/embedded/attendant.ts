/**
 * Looks after the standbys of a running cluster: one that can never catch up is made anew.
 *
 * That is so when the primary has dropped log that the standby needs (its slot is lost or gone), when it was
 * promoted, or when it has been awake without receiving for a while (its history went another way). A standby that
 * only sleeps or lags is left alone.
 */

import { setTimeout as delay } from 'node:timers/promises'

import type { Logger } from '../../../core/log.ts'
import type { PostgresAddress } from '../address.ts'
import { onConnection } from './connection.ts'
import type { Server } from './server.ts'
import { slotName } from './settings.ts'

export interface AttendedStandby {
  readonly server: Server
  readonly address: PostgresAddress
}

export interface AttendantOptions {
  readonly primary: PostgresAddress
  readonly standbys: readonly AttendedStandby[]
  readonly log: Logger
  /** How often to look. */
  readonly everyMs: number
  /** For how long a standby may be awake without receiving. */
  readonly patienceMs: number
}

/** Starts looking; the answer stops it and waits for what is under way. */
export function attendStandbys(options: AttendantOptions): () => Promise<void> {
  const over = new AbortController()
  const silentSince = new Map<string, number>()

  async function look(standby: AttendedStandby): Promise<void> {
    const { name } = standby.server
    const fault = await findFault(standby, options.primary, silentSince, options.patienceMs)
    if (fault === null || over.signal.aborted) return
    silentSince.delete(name)
    options.log.warn({ server: name, fault }, 'a standby cannot catch up any more; making it anew')
    await standby.server.rebuild()
  }

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      await delay(options.everyMs, undefined, { signal: over.signal }).catch(() => undefined)
      if (over.signal.aborted) return
      await Promise.all(
        options.standbys.map((standby) =>
          look(standby).catch((error: unknown) =>
            options.log.debug({ server: standby.server.name, error }, 'a standby was not looked at'),
          ),
        ),
      )
    }
  }

  const running = run()
  return async () => {
    over.abort()
    await running
  }
}

/** Why a standby is beyond help, or null. Rejects where a server did not answer: then nothing is known. */
async function findFault(
  standby: AttendedStandby,
  primary: PostgresAddress,
  silentSince: Map<string, number>,
  patienceMs: number,
): Promise<string | null> {
  const { name, pid } = standby.server
  if (pid === null) return null
  const slot = await askOne(primary, SLOT_SQL, [slotName(name)])
  if (slot === undefined) return 'its replication slot is gone'
  if (slot.wal_status === 'lost') return 'the primary no longer has the log it needs'
  if (slot.active === true) {
    silentSince.delete(name)
    return null
  }
  const state = await askOne(standby.address, STANDBY_SQL, [])
  if (state?.standby === false) return 'it was promoted'
  const since = silentSince.get(name) ?? performance.now()
  silentSince.set(name, since)
  return performance.now() - since > patienceMs ? 'it receives nothing from the primary' : null
}

async function askOne(
  address: PostgresAddress,
  sql: string,
  values: unknown[],
): Promise<Record<string, unknown> | undefined> {
  return onConnection(address, async (client) => (await client.query(sql, values)).rows[0], {
    connectMs: 1_000,
    statementMs: 1_000,
  })
}

const SLOT_SQL = 'select active, wal_status from pg_replication_slots where slot_name = $1'
const STANDBY_SQL = 'select pg_is_in_recovery() as standby'
