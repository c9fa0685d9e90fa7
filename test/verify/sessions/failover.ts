/**
 * A failover that leaves a replica on a history of its own, ahead of the new primary: the state in which numbers
 * without epochs mislead.
 */

import { signalProcess } from './processes.ts'
import { waitFor } from '../../support/wait-for.ts'

import type { Servers } from './servers.ts'
import type pg from 'pg'

/** Promotes the first replica while it lacks log that the second has. What is lost is filler that no history names. */
export async function failOver(servers: Servers): Promise<void> {
  const sender = await servers.with('primary', async (client) => {
    const { rows } = await client.query(`select pid from pg_stat_replication where application_name = 'replica-0'`)
    return Number(rows[0].pid)
  })
  signalProcess(sender, 'SIGSTOP')
  try {
    const end = await servers.with('primary', writeFiller)
    await servers.with('replica-2', (client) => untilTrue(client, 'pg_last_wal_replay_lsn() >= $1::pg_lsn', end))
    await servers.with('replica-1', async (client) => {
      await client.query('select pg_promote(false)')
      await untilTrue(client, `not pg_is_in_recovery() and $1::pg_lsn - pg_current_wal_lsn() > 1000000`, end)
    })
  } finally {
    signalProcess(sender, 'SIGCONT')
  }
}

async function writeFiller(client: pg.Client): Promise<string> {
  await client.query('create table filler (bytes text)')
  await client.query('insert into filler select repeat(md5(n::text), 30) from generate_series(1, 6000) n')
  const { rows } = await client.query('select pg_current_wal_flush_lsn() as lsn')
  return String(rows[0].lsn)
}

async function untilTrue(client: pg.Client, condition: string, lsn: string): Promise<void> {
  const holds = async (): Promise<boolean> => {
    // While a server is promoted, it may refuse to say where its log ends.
    const { rows } = await client.query(`select ${condition} as holds`, [lsn]).catch(() => ({ rows: [] }))
    return rows[0]?.holds === true
  }
  await waitFor(condition, holds, 20_000)
}
