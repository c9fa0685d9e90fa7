/**
 * Calls for workers through the database: NOTIFY, and one connection of each worker's that listens.
 *
 * Never within a transaction that writes: NOTIFY locks all others out for as long as the commit lasts, and with something to
 * write that is as long as the disc takes. A call by itself writes nothing that the disc must have.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { endClient } from '../../engines/postgres/client-state.ts'

import type pg from 'pg'
import type { CallListener } from '../engine.ts'
import type { Logger } from '../../core/log.ts'

const channel = 'fourfold_jobs'
const retryMs = 500
/** A connection that was cut without a word looks like one on which nothing is said. */
const testMs = 10_000

/** $1: the message, of less than 8,000 bytes. */
export const CALL_SQL: string = `select pg_notify('${channel}', $1)`

/** The same as a statement without values, to be sent behind another. */
export function callStatement(message: string): string {
  return `notify ${channel}, '${message.replaceAll("'", "''")}'`
}

export interface ListenOptions {
  /** A new client with a deadline for its statements. Not through a transaction pooler. */
  readonly client: () => pg.Client
  readonly log: Logger
}

/** Listens until it is stopped, over one connection after the other; answers what stops it. */
export function listenForCalls(
  { client: newClient, log }: ListenOptions,
  { hear, missed }: CallListener,
): () => Promise<void> {
  const end = new AbortController()
  const follow = async (): Promise<void> => {
    while (!end.signal.aborted) {
      const client = newClient()
      try {
        const lost = listen(client, hear, end.signal)
        const listening = client.connect().then(async () => {
          await client.query(`listen ${channel}`)
          // Between one connection and the next nothing is heard.
          missed()
          await test(client, end.signal)
        })
        await Promise.race([lost, listening])
      } catch (error) {
        if (!end.signal.aborted) log.debug({ error }, 'no connection listens for calls: trying again')
      }
      await endClient(client)
      await pause(retryMs, undefined, { signal: end.signal }).catch(() => undefined)
    }
  }
  const running = follow()
  return async () => {
    end.abort()
    await running
  }
}

/** Resolves when the connection is lost, or is not wanted any more. */
function listen(client: pg.Client, hear: CallListener['hear'], signal: AbortSignal): Promise<void> {
  client.on('notification', ({ payload }) => hear(payload ?? ''))
  return new Promise((resolve) => {
    const over = (): void => {
      signal.removeEventListener('abort', over)
      resolve()
    }
    client.on('error', over)
    client.on('end', over)
    if (signal.aborted) over()
    else signal.addEventListener('abort', over)
  })
}

/** Rejects when the connection does not answer any more. */
async function test(client: pg.Client, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(testMs, undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) await client.query('select')
  }
}
