/**
 * The driver's statements. Each is sent alone, so it is a transaction of its own, and each is one atomic step under
 * READ COMMITTED: what decides stands in the WHERE of what writes, so that it is asked of the row's newest version
 * after any wait for another writer. The argument is in docs/decisions/021-store-sql.md.
 */

import { CURRENT_EPOCH_SQL } from '../../engines/postgres/epoch.ts'

/** The database's clock, also after a wait, when now() would be too early. */
const clock = 'clock_timestamp()'
const micros = `(extract(epoch from ${clock}) * 1000000)::bigint`
const after = (parameter: string): string => `${clock} + ${parameter}::float8 * interval '1 millisecond'`

/** $1 key */
export const READ_RECORD_SQL: string = `select fields from fourfold.store_records where key = $1 and expires_at > ${clock}`

/** Over a row only where that one has expired. $1 key, $2 fields, $3 time to live */
export const CREATE_RECORD_SQL: string = `
insert into fourfold.store_records as held (key, fields, expires_at) values ($1, $2::jsonb, ${after('$3')})
on conflict (key) do update set fields = excluded.fields, expires_at = excluded.expires_at
where held.expires_at <= ${clock}`

const fits = '(fields @> $5::jsonb and not fields ?| $6::text[])'

/**
 * The fields are computed from the version that is locked, so no other change is lost, and an UPDATE makes no row, so
 * none is revived. Why nothing was changed is asked of the statement's snapshot. What did not fit there is a conflict;
 * what did was changed or deleted while the UPDATE waited: 'again', since the snapshot cannot tell by now.
 * $1 key, $2 names to remove, $3 fields to set, $4 time to live or null, $5 fields expected, $6 names expected absent
 */
export const UPDATE_RECORD_SQL: string = `
with changed as (
  update fourfold.store_records
  set fields = (fields - $2::text[]) || $3::jsonb, expires_at = coalesce(${after('$4')}, expires_at)
  where key = $1 and expires_at > ${clock} and ${fits}
  returning true),
why as (
  select ${fits} as fits from fourfold.store_records
  where key = $1 and expires_at > ${clock} and not exists (select from changed))
select case when exists (select from changed) then 'updated' when not exists (select from why) then 'missing'
  when (select fits from why) then 'again' else 'conflict' end as result`

/** $1 key */
export const DELETE_RECORD_SQL: string = `delete from fourfold.store_records where key = $1 returning expires_at > ${clock} as alive`

/** Bytes have one order, whatever the collation. $1 prefix, $2 the least key behind all that have it or null, $3 limit */
export const LIST_RECORDS_SQL: string = `
select key from fourfold.store_records
where key >= $1 and ($2::bytea is null or key < $2::bytea) and expires_at > ${clock} limit $3::bigint`

/** A maximum in the row that is locked: no writer can lower what another has raised. $1 key, $2 epoch, $3 position, $4 time to live */
export const RAISE_TOKEN_SQL: string = `
insert into fourfold.store_tokens as held (key, parts, expires_at)
values ($1, jsonb_build_object($2::text, $3::bigint), ${after('$4')})
on conflict (key) do update set
  parts = case when held.expires_at <= ${clock} then excluded.parts
    else held.parts || jsonb_build_object($2::text, greatest((held.parts ->> $2::text)::bigint, $3::bigint)) end,
  expires_at = excluded.expires_at`

/** Only as it was seen: a part that was raised meanwhile must not be lost. $1 key, $2 parts seen, $3 parts, $4 time to live */
export const REPLACE_TOKEN_SQL: string = `
update fourfold.store_tokens set parts = $3::jsonb, expires_at = ${after('$4')}
where key = $1 and expires_at > ${clock} and parts = $2::jsonb`

/** Free, expired, or the holder's own. Time and clock are read once, so that fence and life are of one moment. $1 key, $2 holder, $3 time to live */
export const ACQUIRE_LEASE_SQL: string = `
with moment as materialized (select ${clock} as at)
insert into fourfold.store_leases as held (key, holder, fence, expires_at)
select $1, $2, ${micros}, ${after('$3')}
on conflict (key) do update set
  holder = excluded.holder, expires_at = excluded.expires_at,
  fence = case when held.holder = excluded.holder and held.expires_at > (select at from moment) then held.fence
    else greatest(held.fence + 1, excluded.fence) end
where held.holder = excluded.holder or held.expires_at <= ${clock}
returning fence`

const heldLease = `key = $1 and holder = $2 and fence = $3::bigint and expires_at > ${clock}`

/** $1 key, $2 holder, $3 fence, $4 time to live */
export const RENEW_LEASE_SQL: string = `update fourfold.store_leases set expires_at = ${after('$4')} where ${heldLease}`

/** The row stays, for its fence. $1 key, $2 holder, $3 fence */
export const RELEASE_LEASE_SQL: string = `update fourfold.store_leases set expires_at = ${clock} where ${heldLease}`

/** In place of any other of this id. $1 group, $2 id, $3 value, $4 time to live */
export const REGISTER_SQL: string = `
with moment as materialized (select ${micros} as micros)
insert into fourfold.store_registry as held (grp, id, value, fence, revision, expires_at)
select $1, $2, $3, micros, micros, ${after('$4')} from moment
on conflict (grp, id) do update set
  value = excluded.value, expires_at = excluded.expires_at,
  fence = greatest(held.revision + 1, excluded.fence), revision = greatest(held.revision + 1, excluded.fence)
returning fence`

const heldEntry = `grp = $1 and id = $2 and fence = $3::bigint and expires_at > ${clock}`

/** $1 group, $2 id, $3 fence, $4 time to live, $5 value or null */
export const RENEW_REGISTRATION_SQL: string = `
update fourfold.store_registry set
  expires_at = ${after('$4')}, value = coalesce($5::bytea, value),
  revision = case when $5::bytea is null then revision else greatest(revision + 1, ${micros}) end
where ${heldEntry}`

/** The row stays, for its fence. $1 group, $2 id, $3 fence */
export const WITHDRAW_SQL: string = `update fourfold.store_registry set expires_at = ${clock}, value = '' where ${heldEntry}`

/**
 * The version is a digest of what this snapshot shows: a counter would have to be in the order of commits. Always one
 * row at least, whose id is null where there is nothing to tell. $1 group, $2 version seen
 */
export const READ_REGISTRY_SQL: string = `
with alive as materialized (
  select id, fence, revision, value from fourfold.store_registry where grp = $1 and expires_at > ${clock}),
digest as (
  select encode(sha256(convert_to(coalesce(
    string_agg(encode(id, 'hex') || ' ' || revision, ',' order by id), ''), 'UTF8')), 'hex') as version from alive)
select version, id, fence, value from digest left join alive on version <> $2`

/**
 * The head row is locked until the entry is committed with it, so numbers are in the order of commits. A stream that has
 * expired goes on with a hole. $1 stream, $2 how many to keep, $3 time to live, $4 value
 */
export const APPEND_SQL: string = `
with moment as materialized (select ${micros} as micros, ${clock} as at),
head as (
  insert into fourfold.store_streams as held (key, last, oldest, expires_at)
  select $1, micros, micros, ${after('$3')} from moment
  on conflict (key) do update set
    expires_at = excluded.expires_at,
    last = case when held.expires_at > (select at from moment) then held.last + 1
      else greatest(held.last + 2, excluded.last) end,
    oldest = case when held.expires_at > (select at from moment) then greatest(held.oldest, held.last + 2 - $2::bigint)
      else greatest(held.last + 2, excluded.last) end
  returning last, oldest),
trimmed as (
  delete from fourfold.store_entries using head where stream = $1 and number < head.oldest)
insert into fourfold.store_entries (stream, number, value) select $1, last, $4 from head returning number`

/** Head and entries of one snapshot. $1 stream, $2 after, $3 limit */
export const READ_STREAM_SQL: string = `
with head as (select last, oldest from fourfold.store_streams where key = $1 and expires_at > ${clock})
select head.last, head.oldest, entry.number, entry.value
from head left join lateral (
  select number, value from fourfold.store_entries
  where stream = $1 and number between
    greatest(head.oldest, case when $2::bigint > head.last then 0 else $2::bigint + 1 end) and head.last
  order by number limit $3::bigint) entry on true
order by entry.number`

/**
 * A budget's end of life is the moment when it is full again. What a refusal tells of what is left is of the statement's
 * snapshot. $1 key, $2 cost, $3 capacity
 */
export const SPEND_SQL: string = `
with spent as (
  insert into fourfold.store_budgets as held (key, expires_at)
  select $1, ${after('$2')} where $2::float8 > 0
  on conflict (key) do update set expires_at = greatest(held.expires_at, ${clock}) + ($2::float8 * interval '1 millisecond')
  where greatest(held.expires_at, ${clock}) + ($2::float8 * interval '1 millisecond') <= ${after('$3')}
  returning expires_at),
seen as (
  select coalesce((select expires_at from spent),
    (select expires_at from fourfold.store_budgets where key = $1), ${clock}) as full_at),
left_over as (
  select least($3::float8, $3::float8 - extract(epoch from full_at - ${clock})::float8 * 1000) as left_ms from seen)
select exists (select from spent) or ($2::float8 = 0) as granted, left_ms as left from left_over`

/** Token and epoch by one statement: of one server, whoever stands between. $1 key */
export const READ_TOKEN_SQL: string = `
select (select parts from fourfold.store_tokens where key = $1 and expires_at > ${clock}) as parts,
  (${CURRENT_EPOCH_SQL}) as epoch`

export const READ_EPOCH_SQL: string = `select (${CURRENT_EPOCH_SQL}) as epoch`
