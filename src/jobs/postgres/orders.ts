/** The SQL of orders, and of what one may ask about jobs. */

/**
 * $1 names, $2 inputs, $3 owners, $4 keys, $5 unique keys, $6 priorities, $7 delays in ms, $8 attempts. One statement for any
 * number of orders, inside whatever transaction it stands in. An order whose like is not finished changes nothing and is answered by the next statement; where the like is in a transaction that is
 * still open, this one waits for its end.
 */
export const ORDER_SQL: string = `
insert into fourfold.jobs (name, state, run_at, rank, priority, input, owner, key, unique_key, attempts)
select o.name, case when o.delay_ms > 0 then 'scheduled' else 'waiting' end, t.run_at,
  t.run_at - o.priority * interval '1 min', o.priority, o.input::json, o.owner, o.key, o.unique_key, o.attempts
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::float8[], $8::int[])
  with ordinality as o (name, input, owner, key, unique_key, priority, delay_ms, attempts, place)
cross join lateral (select clock_timestamp() + o.delay_ms * interval '1 ms' as run_at) t
order by o.place
on conflict (name, unique_key) where unique_key is not null and state <> 'failed' do nothing
returning id, name, unique_key`

/**
 * The same for one: $1 name, $2 input, $3 owner, $4 key, $5 unique key, $6 priority, $7 delay in ms, $8 attempts. A third
 * less work than for many.
 */
export const ORDER_ONE_SQL: string = `
insert into fourfold.jobs (name, state, run_at, rank, priority, input, owner, key, unique_key, attempts)
values ($1, case when $7::float8 > 0 then 'scheduled' else 'waiting' end, clock_timestamp() + $7 * interval '1 ms',
  clock_timestamp() + $7 * interval '1 ms' - $6::smallint * interval '1 min', $6, $2::text::json, $3, $4, $5, $8)
on conflict (name, unique_key) where unique_key is not null and state <> 'failed' do nothing
returning id, name, unique_key`

/** $1 names, $2 unique keys. */
export const FIND_UNIQUE_SQL: string = `
select j.id, j.name, j.unique_key from unnest($1::text[], $2::text[]) as u (name, unique_key)
join fourfold.jobs j on j.name = u.name and j.unique_key = u.unique_key and j.state <> 'failed'`

/** Whether there are jobs in the database that this connection leads to. */
export const PRESENT_SQL: string = `
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'fourfold' and c.relname = 'job_segments') as present`

/** Which database this is, to whoever holds a connection. */
export const IDENTITY_SQL: string = `select identity::text from fourfold.job_segments`

/** $1 ids. */
export const VISIBLE_SQL: string = `
select id from fourfold.jobs where id = any($1::bigint[])
union all select id from fourfold.finished_jobs where id = any($1::bigint[])`

const seen = `id, name, state, version, owner, progress, message, input, attempt, attempts, errors,
  extract(epoch from ordered_at) * 1000 as ordered_ms, extract(epoch from run_at) * 1000 as run_ms`

/**
 * $1 ids. A job that is being finished while this runs is in one of both tables, or in none for whoever reads them one after
 * the other: one statement has one snapshot.
 */
export const FIND_SQL: string = `
select ${seen}, null::json as output, null::float8 as finished_ms from fourfold.jobs where id = any($1::bigint[])
union all
select ${seen}, output, extract(epoch from finished_at) * 1000 from fourfold.finished_jobs where id = any($1::bigint[])`

/** $1 a name, or null: any; $2 how many. */
export const FAILED_SQL: string = `
select ${seen}, null::json as output, null::float8 as finished_ms from fourfold.jobs
where state = 'failed' and ($1::text is null or name = $1) order by id desc limit $2`

/** From the first attempt. $1 id or null, $2 name or null. One whose like was ordered since stays as it is. */
export const RETRY_SQL: string = `
update fourfold.jobs j set state = 'waiting', attempt = 0, run_at = now(), rank = now() - j.priority * interval '1 min',
  version = j.version + 1, cancelled = false
where j.state = 'failed' and ($1::bigint is null or j.id = $1) and ($2::text is null or j.name = $2)
  and not exists (select from fourfold.jobs o where o.name = j.name and o.unique_key = j.unique_key and o.state <> 'failed')
  and (j.unique_key is null or j.id = (select max(l.id) from fourfold.jobs l
    where l.name = j.name and l.unique_key = j.unique_key and l.state = 'failed'))
returning j.id`

export const PAUSE_SQL: string = `
insert into fourfold.job_names (name, paused) values ($1, $2) on conflict (name) do update set paused = excluded.paused`

export const PAUSED_SQL: string = `select name from fourfold.job_names where paused`

export const COUNTS_SQL: string = `
with j as (
  select name, state, run_at from fourfold.jobs
  union all select name, null, null from fourfold.job_names where paused)
select name, count(*) filter (where state = 'scheduled')::int as scheduled, count(*) filter (where state = 'waiting')::int as waiting,
  count(*) filter (where state = 'running')::int as running, count(*) filter (where state = 'failed')::int as failed,
  coalesce((select paused from fourfold.job_names n where n.name = j.name), false) as paused,
  coalesce(extract(epoch from now() - min(run_at) filter (where state = 'waiting')) * 1000, 0)::float8 as oldest_ms
from j group by name order by name`

/** $1 name, $2 the tick in ms since 1970. Locks the name's row, so that of two workers one orders. */
export const TICK_SQL: string = `
insert into fourfold.job_names (name, last_tick) values ($1, to_timestamp($2::float8 / 1000))
on conflict (name) do update set last_tick = excluded.last_tick
where fourfold.job_names.last_tick is null or fourfold.job_names.last_tick < excluded.last_tick
returning name`

/** $1 name. Where there is no record it begins now. */
export const LAST_TICK_SQL: string = `
with begun as (
  insert into fourfold.job_names (name, last_tick) values ($1, now())
  on conflict (name) do update set last_tick = excluded.last_tick where fourfold.job_names.last_tick is null
  returning last_tick)
select (extract(epoch from t.at) * 1000)::float8 as at_ms, (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
from (select last_tick from begun union all select last_tick from fourfold.job_names
  where name = $1 and not exists (select from begun)) t (at)`

/** The partition that is being filled. */
export const SEGMENT_SQL: string = `select current from fourfold.job_segments`

/** Held to the end of the transaction: one process turns them. */
export const LOCK_SEGMENT_SQL: string = `
select current, (extract(epoch from now() - began_at) * 1000)::float8 as age_ms from fourfold.job_segments
for update skip locked`

export const NEXT_SEGMENT_SQL: string = `update fourfold.job_segments set current = $1, began_at = now()`

/** The bytes of each partition, its indexes and long values included. */
export const SEGMENT_BYTES_SQL: string = `
select c.relname as name, pg_total_relation_size(c.oid)::float8 as bytes from pg_class c
join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'fourfold' and c.relname ~ '^finished_jobs_\\d+$'`

/** $1 ms. */
export const SWEEP_FAILED_SQL: string = `
delete from fourfold.jobs where id in (select id from fourfold.jobs where state = 'failed'
  and run_at < now() - $1::float8 * interval '1 ms' limit 1000)`

export const SWEEP_REQUESTS_SQL: string = `
delete from fourfold.job_requests where asked_at < now() - interval '1 day'`

/** Which of these have jobs that wait. $1 names. */
export const WAITING_AMONG_SQL: string = `
select n.name from unnest($1::text[]) as n (name)
where exists (select from fourfold.jobs j where j.name = n.name and j.state = 'waiting')`

// Until the end of the transaction. Whoever does not get it is told so, and waits for nobody.
export const TRY_REQUEST_SQL: string = `select pg_try_advisory_xact_lock(hashtextextended($1, 8263)) as taken`

/** $1 owner, $2 key. After its day it is a new one. */
export const BEGIN_REQUEST_SQL: string = `
with old as (delete from fourfold.job_requests where owner = $1 and key = $2 and asked_at < now() - interval '1 day'),
known as (select job, fingerprint from fourfold.job_requests
  where owner = $1 and key = $2 and asked_at >= now() - interval '1 day')
select job, fingerprint, false as is_new from known
union all select null, null, true where not exists (select from known)`

/**
 * $1 owner, $2 key, $3 fingerprint, $4 the job. Not where that is somebody else's: the request is refused, has ordered
 * nothing, and may come again.
 */
export const END_REQUEST_SQL: string = `
insert into fourfold.job_requests (owner, key, fingerprint, job) select $1, $2, $3, $4::bigint where exists (
  select from fourfold.jobs where id = $4 and owner is not distinct from nullif($1, '')
  union all select from fourfold.finished_jobs where id = $4 and owner is not distinct from nullif($1, ''))`
