/** The SQL of workers: their leases, what they take, and what they say of it. Each statement is a transaction of its own. */

/** What a worker is told of a job that it has. */
const claimed = `j.id, j.token, j.name, j.input, j.owner, j.attempt, j.attempts, j.cancelled`

/** What a claim does to a row. $1: the worker. */
export const TAKE: string = `set state = 'running', worker = $1, token = j.token + 1, attempt = j.attempt + 1,
  version = j.version + 1, begun_at = now(), progress = null, message = null,
  unique_key = case when j.unique_key like 'start:%' then null else j.unique_key end`

/** Of inputs, as they are stored, that a worker takes at once: it holds them in its memory, and more than it runs. */
const mostBytes = 4 * 2 ** 20

/**
 * The body of a function. $1 worker, $2 names, $3 how many; fewer, and `more`, where their inputs are large. Each name is read
 * in its own range of the index, so that names which this worker does not know cost it nothing. SKIP LOCKED: two workers that
 * ask at once get different rows, and neither waits. What is locked and left is free again at the end of the transaction.
 */
export const CLAIM_BODY: string = `
declare
  ids bigint[]; total bigint := 0; more boolean := false; one record;
begin
  for one in
    select o.id, o.bytes from unnest($2) as n (name) cross join lateral (
      select w.id, w.rank, pg_column_size(w.input) as bytes from fourfold.jobs w
      where w.name = n.name and w.state = 'waiting' order by w.rank, w.id limit $3 for update skip locked) o
    order by o.rank, o.id limit $3
  loop
    if total >= ${mostBytes} then more := true; exit; end if;
    ids := ids || one.id;
    total := total + one.bytes;
  end loop;
  if ids is null then return; end if;
  return query update fourfold.jobs j ${TAKE} where j.id = any(ids)
    returning ${claimed}, extract(epoch from j.rank)::float8, more;
end`

/**
 * The same for a few of one name, whatever their inputs are: when a call has said which name there is something of. Half the
 * work, and that when nothing is warm.
 */
export const CLAIM_FEW_BODY: string = `
begin
  return query update fourfold.jobs j ${TAKE}
    where j.id = any(array(
      select w.id from fourfold.jobs w where w.name = $2 and w.state = 'waiting'
      order by w.rank, w.id limit $3 for update skip locked))
    returning ${claimed}, extract(epoch from j.rank)::float8, false;
end`

/** The same for ids that are locked already: $2 ids. */
export const CLAIM_IDS_SQL: string = `
update fourfold.jobs j ${TAKE} where j.id = any($2::bigint[])
returning ${claimed}, extract(epoch from j.rank)::float8 as rank`

/** What is due waits from now on; it stands where it would if it had been ordered for this time. In slices, so that nobody waits long. */
export const DUE_SQL: string = `
with due as materialized (
  select id from fourfold.jobs where state = 'scheduled' and run_at <= now() order by run_at limit 1000
  for update skip locked)
update fourfold.jobs j set state = 'waiting', version = j.version + 1 from due where j.id = due.id returning j.id`

export const NEXT_DUE_SQL: string = `
select (extract(epoch from min(run_at) - now()) * 1000)::float8 as ms from fourfold.jobs where state = 'scheduled'`

/** $1 name, $2 lease in ms. */
export const REGISTER_SQL: string = `
insert into fourfold.job_workers (name, expires_at) values ($1, now() + $2::float8 * interval '1 ms') returning id`

/**
 * $1 worker, $2 lease in ms, $3 the jobs in its hands. Only updates: a lease that was taken away stays away. What runs in
 * its name and is not in its hands is from a claim whose answer was lost; its attempt does not count.
 */
export const BEAT_SQL: string = `
with beat as (
  update fourfold.job_workers set expires_at = now() + $2::float8 * interval '1 ms' where id = $1 returning id),
back as (
  update fourfold.jobs j set state = 'waiting', worker = null, attempt = j.attempt - 1, version = j.version + 1
  where j.worker = $1 and j.state = 'running' and j.id <> all($3::bigint[]) returning j.id)
select (select count(*) from beat) = 1 as alive, (select count(*) from back)::int as handed_back,
  (select json_agg(json_build_array(id::text, token)) from fourfold.jobs
    where worker = $1 and state = 'running' and cancelled) as cancelled`

/** $1 worker. */
export const WITHDRAW_SQL: string = `
with gone as (delete from fourfold.job_workers where id = $1)
update fourfold.jobs j set state = 'waiting', worker = null, attempt = j.attempt - 1, version = j.version + 1
where j.worker = $1 and j.state = 'running'`

export const DELETE_DEAD_WORKERS_SQL: string = `delete from fourfold.job_workers where expires_at < now()`

/**
 * What runs, and whose worker has no row. After the deletion and in a statement of its own, so that its snapshot is
 * younger. A job that has lost several workers waits longer each time: it may be what kills them.
 */
export const RECOVER_SQL: string = `
with orphans as materialized (
  select id from fourfold.jobs j where j.state = 'running'
    and not exists (select from fourfold.job_workers w where w.id = j.worker)
  limit 1000 for update skip locked)
update fourfold.jobs j set
  worker = null, version = j.version + 1, progress = null, message = null,
  state = case when j.attempt >= j.attempts and not j.cancelled then 'failed' when j.attempt < 3 then 'waiting' else 'scheduled' end,
  run_at = case when j.attempt >= j.attempts and not j.cancelled then now() when j.attempt < 3 then j.run_at
    else now() + least(power(2, j.attempt - 2), 60) * interval '1 s' end,
  rank = case when j.attempt < 3 then j.rank else now() - j.priority * interval '1 min' end,
  errors = coalesce(j.errors, '[]') || jsonb_build_object('attempt', j.attempt, 'at', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'code', 'FF_JOB_WORKER_LOST', 'message', 'The worker died, or was paused for longer than its lease')
from orphans where j.id = orphans.id returning j.id`

const finishedColumns = `segment, id, name, state, input, output, owner, worker, token, attempt, attempts, version, progress,
  message, errors, run_at, ordered_at, begun_at, finished_at`

/**
 * $1 worker, $2 ids, $3 tokens, $4 outputs, $5 messages that are not written yet, $6 the partition. `any(array[…])` instead of `=`: rows can be found by the primary
 * key that way and in no other, such as along the whole of it for a merge, which costs the same while the table is empty. What else a row must be is compared in a way that no index
 * serves, for the same reason: by that of what runs, all that a worker has would be read for each that it completes.
 */
export const COMPLETE_SQL: string = `
with given as (select * from unnest($2::bigint[], $3::int[], $4::text[], $5::text[]) as g (id, token, output, last)),
gone as (
  delete from fourfold.jobs j using given g
  where j.id = any(array[g.id]) and (j.token, j.worker, j.state) is not distinct from (g.token, $1, 'running') returning j.*, g.output, g.last)
insert into fourfold.finished_jobs (${finishedColumns})
select $6, id, name, 'done', input, output::json, owner, worker, token, attempt, attempts, version + 1, 1,
  coalesce(last, message), errors, run_at, ordered_at, begun_at, clock_timestamp() from gone
returning id, version`

/** $1 worker, $2 ids, $3 tokens, $4 the partition. */
export const END_CANCELLED_SQL: string = `
with given as (select * from unnest($2::bigint[], $3::int[]) as g (id, token)),
gone as (
  delete from fourfold.jobs j using given g
  where j.id = g.id and j.token = g.token and j.worker = $1 and j.state = 'running' returning j.*)
insert into fourfold.finished_jobs (${finishedColumns})
select $4, id, name, 'cancelled', input, null, owner, worker, token, attempt, attempts, version + 1, progress,
  message, errors, run_at, ordered_at, begun_at, clock_timestamp() from gone
returning id, version`

/** $1 id, $2 the partition. Of a job that nobody runs. */
export const CANCEL_WAITING_SQL: string = `
with gone as (delete from fourfold.jobs where id = $1 and state in ('waiting', 'scheduled') returning *)
insert into fourfold.finished_jobs (${finishedColumns})
select $2, id, name, 'cancelled', input, null, owner, null, token, attempt, attempts, version + 1, progress,
  message, errors, run_at, ordered_at, begun_at, clock_timestamp() from gone
returning id, version`

/** $1 id. */
export const CANCEL_RUNNING_SQL: string = `
update fourfold.jobs set cancelled = true, version = version + 1 where id = $1 and state = 'running' returning version`

/** Whether it is not over. $1 id. */
export const STANDS_SQL: string = `select from fourfold.jobs where id = $1 and state <> 'failed'`

/** Which of these were finished by this very claim: the answer to an earlier try was lost. $1 worker, $2 ids, $3 tokens. */
export const FINISHED_BEFORE_SQL: string = `
select f.id, f.version from unnest($2::bigint[], $3::int[]) as g (id, token)
join fourfold.finished_jobs f on f.id = g.id and f.token = g.token and f.worker = $1`

/** What is to be cancelled is left: nothing follows it. One that has failed is kept from this moment on, by its run_at. $1 worker, $2 ids, $3 tokens, $4 errors, $5 until the next attempt in ms, null: there is none. */
export const FAIL_SQL: string = `
with given as (select * from unnest($2::bigint[], $3::int[], $4::text[], $5::float8[]) as g (id, token, error, retry_ms))
update fourfold.jobs j set
  state = case when g.retry_ms is null then 'failed' else 'scheduled' end, worker = null, version = j.version + 1,
  run_at = now() + coalesce(g.retry_ms, 0) * interval '1 ms',
  rank = now() + coalesce(g.retry_ms, 0) * interval '1 ms' - j.priority * interval '1 min',
  errors = case when jsonb_array_length(coalesce(j.errors, '[]')) >= 50 then j.errors - 0 else coalesce(j.errors, '[]') end
    || g.error::jsonb
from given g where j.id = g.id and j.token = g.token and j.worker = $1 and j.state = 'running' and not j.cancelled
returning j.id, j.version`

/** $1 worker, $2 ids, $3 tokens. */
export const HAND_BACK_SQL: string = `
with given as (select * from unnest($2::bigint[], $3::int[]) as g (id, token))
update fourfold.jobs j set state = 'waiting', worker = null, attempt = j.attempt - 1, version = j.version + 1
from given g where j.id = g.id and j.token = g.token and j.worker = $1 and j.state = 'running'
returning j.id, j.version`

/** $1 worker, $2 ids, $3 tokens, $4 fractions, $5 messages. */
export const PROGRESS_SQL: string = `
with given as (select * from unnest($2::bigint[], $3::int[], $4::float8[], $5::text[]) as g (id, token, progress, message))
update fourfold.jobs j set progress = g.progress, message = g.message, version = j.version + 1
from given g where j.id = g.id and j.token = g.token and j.worker = $1 and j.state = 'running'
returning j.id, j.version`
