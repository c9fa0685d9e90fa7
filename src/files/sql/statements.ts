/**
 * The SQL of files. Three tables in the schema `fourfold`:
 * - `file_contents`: a content. `touched_at` is when its last piece came, or when it was removed; it is null once the
 *   sweep found a name that leads to it, so that the sweep looks at each file once and not for ever;
 * - `file_chunks`: its bytes, `chunk_bytes` in each but the last;
 * - `files`: the names.
 *
 * Every statement is a transaction of its own at READ COMMITTED. The foreign keys are the seat belt: whatever else goes
 * wrong, no content goes while a name leads to it, and no name appears without its content.
 */

/** The advisory lock of everything in the schema `fourfold`; the same as the engine's. */
export { SCHEMA_LOCK } from '../../engines/postgres/epoch.ts'

// The catalogues and not to_regclass(): that one fails where the role may not use the schema.
export const HAS_TABLES_SQL: string = `
select count(*) = 3 as present from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'fourfold' and c.relname in ('file_contents', 'file_chunks', 'files')`

// EXTERNAL: kept beside the row and not compressed, as pictures and films are already, so that a part of a chunk is
// read without the rest.
export const CREATE_TABLES_SQL: string = `
create schema if not exists fourfold;
create table if not exists fourfold.file_contents (
  content uuid primary key, chunk_bytes integer not null, touched_at timestamptz);
create index if not exists file_contents_touched_at on fourfold.file_contents (touched_at) where touched_at is not null;
create table if not exists fourfold.file_chunks (
  content uuid not null references fourfold.file_contents on delete cascade, number integer not null, bytes bytea not null,
  primary key (content, number));
alter table fourfold.file_chunks alter column bytes set storage external;
create table if not exists fourfold.files (
  name text primary key, content uuid not null unique references fourfold.file_contents, size bigint not null,
  type text not null, stored_at timestamptz not null default now());`

/** The first chunk: $1 content, $2 the size of chunks, $3 bytes. */
export const BEGIN_SQL: string = `
with begun as (
  insert into fourfold.file_contents (content, chunk_bytes, touched_at) values ($1, $2, now()) returning content)
insert into fourfold.file_chunks (content, number, bytes) select content, 0, $3 from begun`

/** A further chunk, if the content was not swept: $1 content, $2 number, $3 bytes. */
export const CONTINUE_SQL: string = `
with touched as (update fourfold.file_contents set touched_at = now() where content = $1 returning content)
insert into fourfold.file_chunks (content, number, bytes) select content, $2, $3 from touched returning number`

// A name that is there already keeps its content; one that is just being removed is waited for, and made anew.
const NAME_SQL = `
named as (
  insert into fourfold.files as f (name, content, size, type) select $2, content, $3, $4 from staged
  on conflict (name) do update set type = excluded.type, stored_at = now() returning f.content)`

/**
 * The last chunk and the name, of a content that was begun: $1 content, $2 name, $3 size, $4 type, $5 number, $6 bytes.
 * Answers whether the name leads to this content; no row: it was swept.
 */
export const FINISH_SQL: string = `
with staged as (update fourfold.file_contents set touched_at = now() where content = $1 returning content),
last as (insert into fourfold.file_chunks (content, number, bytes) select content, $5, $6 from staged), ${NAME_SQL}
select content = $1 as own from named`

/** The whole of a file of one chunk: $1 content, $2 name, $3 size, $4 type, $5 the size of chunks, $6 bytes. */
export const STORE_SQL: string = `
with staged as (
  insert into fourfold.file_contents (content, chunk_bytes, touched_at) values ($1, $5, now()) returning content),
last as (insert into fourfold.file_chunks (content, number, bytes) select content, 0, $6 from staged), ${NAME_SQL}
select content = $1 as own from named`

/** $1 name. The bytes stay for who is reading them; the sweep takes them later. */
export const REMOVE_SQL: string = `
with gone as (delete from fourfold.files where name = $1 returning content)
update fourfold.file_contents as c set touched_at = now() from gone where c.content = gone.content returning true as removed`

/** $1 content, of which no name is to know. */
export const DISCARD_SQL = 'delete from fourfold.file_contents where content = $1'

/** $1 name. */
export const FIND_SQL: string = `
select f.content, f.size::text as size, f.type, c.chunk_bytes
from fourfold.files as f join fourfold.file_contents as c on c.content = f.content where f.name = $1`

/** $1 content, $2 number. */
export const READ_SQL = 'select bytes from fourfold.file_chunks where content = $1 and number = $2'

/** A part of a chunk: $3 is how many bytes come before it, $4 how many it has. */
export const READ_PART_SQL: string =
  'select substring(bytes from $3::integer + 1 for $4::integer) as bytes from fourfold.file_chunks where content = $1 and number = $2'

export const sweepBatch = 50

// SKIP LOCKED: what is just being finished, or swept by another process, is none of ours. A content that was finished or
// removed while we looked has a new `touched_at`, which the lock makes us see.
/** $1 the least age in milliseconds. Answers how many were looked at and how many went. */
export const SWEEP_SQL: string = `
with old as (
  select content from fourfold.file_contents where touched_at < now() - $1 * interval '1 millisecond'
  order by touched_at limit ${sweepBatch} for update skip locked),
settled as (
  update fourfold.file_contents as c set touched_at = null from old
  where c.content = old.content and exists (select from fourfold.files as f where f.content = c.content)),
gone as (
  delete from fourfold.file_contents as c using old
  where c.content = old.content and not exists (select from fourfold.files as f where f.content = c.content)
  returning c.content)
select (select count(*) from old)::integer as seen, (select count(*) from gone)::integer as gone`
