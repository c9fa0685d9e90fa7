import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { storeContract } from '../../src/testing/index.ts'
import type { Cleanup } from '../support/postgres.ts'
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { startSqlStoreServer } from '../support/sql-store-server.ts'

async function asSerializable(_: Cleanup, address: PostgresAddress): Promise<PostgresAddress> {
  return { ...address, options: '-c default_transaction_isolation=serializable' }
}

const survival = { survivesRestart: true, keepsIncarnation: false, wakesWithinMs: 150 }

storeContract({ name: 'sql', start: () => startSqlStoreServer(), ...survival })
storeContract({
  name: 'sql, where transactions are serializable unless they say otherwise',
  start: () => startSqlStoreServer({ through: asSerializable }),
  ...survival,
})
storeContract({
  name: 'sql, behind a transaction pooler',
  start: () => startSqlStoreServer({ through: startPgBouncer }),
  skip: (await findPgBouncer()) === null ? 'no PgBouncer on this machine' : false,
  ...survival,
})
