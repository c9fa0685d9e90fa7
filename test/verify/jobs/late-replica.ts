/** A replica that is late now and then: what was written a moment ago is not there yet. */

import { setTimeout as pause } from 'node:timers/promises'

import pg from 'pg'

const everyMs = 900
const lateMs = 500

/** Answers what ends it. */
export function makeLate(address: object): () => Promise<void> {
  const end = new AbortController()
  const run = async (): Promise<void> => {
    while (!end.signal.aborted) {
      await holdBack(address).catch(() => undefined)
      await pause(everyMs - lateMs)
    }
  }
  const running = run()
  return async () => {
    end.abort()
    await running
  }
}

async function holdBack(address: object): Promise<void> {
  const client = new pg.Client({
    ...(address as pg.ClientConfig),
    connectionTimeoutMillis: 1_000,
    query_timeout: 1_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select pg_wal_replay_pause()')
    await pause(lateMs)
    await client.query('select pg_wal_replay_resume()')
  } finally {
    await client.end().catch(() => undefined)
  }
}
