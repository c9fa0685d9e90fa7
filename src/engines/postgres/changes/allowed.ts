/** Whether a server allows its changes to be followed at all: asked once, at the start. `fourfold doctor` tells more. */

import pg from 'pg'

import type { PostgresAddress } from '../address.ts'

/** What is missing, in words for people; null where nothing is. */
export async function findMissing(address: PostgresAddress, timeoutMs: number): Promise<string | null> {
  const client = new pg.Client({ ...address, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query(ALLOWED_SQL)
    const { level, may } = rows[0] as { readonly level: string; readonly may: boolean }
    if (level !== 'logical') return `wal_level is ${level}, and must be logical`
    return may ? null : 'the database user may not replicate (ALTER ROLE … REPLICATION)'
  } catch (error) {
    return `the server could not be asked: ${String(error)}`
  } finally {
    client.end().catch(() => undefined)
  }
}

// Hosted services give the right through a role of their own in place of the attribute.
const ALLOWED_SQL = `
select current_setting('wal_level') as level, exists (
  select from pg_roles r where (r.rolname = current_user and (r.rolreplication or r.rolsuper))
    or (r.rolname in ('rds_replication', 'rds_superuser', 'azure_pg_admin', 'cloudsqlsuperuser')
      and pg_has_role(current_user, r.oid, 'member'))) as may`
