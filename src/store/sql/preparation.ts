/** Makes what is missing in the database, on a connection of its own, once at a time. */

import pg from 'pg'

import { withDeadline } from '../../core/deadline.ts'
import type { PostgresAddress } from '../../engines/postgres/address.ts'
import { cutConnection } from '../../engines/postgres/client-state.ts'
import { prepareSchema } from './schema.ts'

/** Long, since others may be at it under the same lock. */
const prepareMs = 30_000

export interface Preparation {
  /** Joins one that is under way. */
  run(): Promise<void>
  /** Cuts one that is under way. */
  close(): void
}

export function createPreparation(address: PostgresAddress): Preparation {
  let running: Promise<void> | null = null
  let client: pg.Client | null = null
  const work = async (): Promise<void> => {
    client = new pg.Client({ ...(address as pg.ClientConfig), connectionTimeoutMillis: prepareMs })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await withDeadline(prepareSchema(client), prepareMs, 'the tables of the store')
    } finally {
      client.end().catch(() => undefined)
      client = null
    }
  }
  return {
    run: () => (running ??= work().finally(() => (running = null))),
    close: () => {
      if (client !== null) cutConnection(client)
    },
  }
}
