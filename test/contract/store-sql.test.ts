import { storeContract } from '../../src/testing/index.ts'
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { startSqlStoreServer } from '../support/sql-store-server.ts'

const survival = { survivesRestart: true, keepsIncarnation: false }

storeContract({ name: 'sql', start: () => startSqlStoreServer(), ...survival })
storeContract({
  name: 'sql, behind a transaction pooler',
  start: () => startSqlStoreServer({ through: startPgBouncer }),
  skip: (await findPgBouncer()) === null ? 'no PgBouncer on this machine' : false,
  ...survival,
})
