/**
 * The event triggers that put DDL into the change stream: FRESHNESS rule 12.
 *
 * They write a transactional message into the log, so that it arrives in the place of the DDL, if that commits. They are
 * ENABLE ALWAYS (a session that replays changes of another server runs DDL too), run with their owner's rights and a fixed
 * search path, and never make somebody's DDL fail.
 */

import { ddlPrefix } from './names.ts'

export const eventTriggerNames: readonly string[] = ['fourfold_ddl_start', 'fourfold_ddl_end', 'fourfold_sql_drop']

// Changes nothing that an answer could show. A materialised view is never cached; indexes only make things faster.
const quietTags = [
  'ANALYZE',
  'COMMENT',
  'CREATE INDEX',
  'ALTER INDEX',
  'DROP INDEX',
  'REINDEX',
  'REFRESH MATERIALIZED VIEW',
  'CREATE STATISTICS',
  'ALTER STATISTICS',
  'DROP STATISTICS',
  'SECURITY LABEL',
]

const quoted = (texts: readonly string[]): string => texts.map((text) => `'${text}'`).join(', ')

/**
 * `fourfold.own` is set by Fourfold in transactions in which it joins tables.
 *
 * Commands without an object are CREATE … IF NOT EXISTS of what exists, and DROP, which `sql_drop` tells of. DETACH
 * PARTITION CONCURRENTLY commits twice, and readers see the first commit already: it is announced when it begins. When the
 * objects cannot be listed, it is announced as well: better once too often.
 */
export const ANNOUNCE_DDL_SQL: string = `
create or replace function fourfold.announce_ddl() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
declare
  relevant boolean := true;
begin
  if current_setting('fourfold.own', true) = 'on' or tg_tag in (${quoted(quietTags)}) then
    return;
  end if;
  begin
    if tg_event = 'ddl_command_start' then
      relevant := current_query() ilike '%concurrently%';
    elsif tg_event = 'sql_drop' then
      select exists (select from pg_event_trigger_dropped_objects() o
        where not o.is_temporary and (o.original
          or o.object_type in ('table', 'view', 'function', 'foreign table', 'type', 'schema')))
      into relevant;
    else
      select count(*) filter (where c.schema_name is distinct from 'pg_temp') > 0
        or (count(*) = 0 and (tg_tag not like 'CREATE %' and tg_tag not like 'DROP %' or tg_tag = 'DROP OWNED'))
      from pg_event_trigger_ddl_commands() c into relevant;
    end if;
  exception when others then
    relevant := true;
  end;
  if relevant then
    perform pg_logical_emit_message(true, '${ddlPrefix}', tg_tag);
  end if;
exception when others then
  raise warning 'fourfold could not announce %: %', tg_tag, sqlerrm;
end
$function$`

export const EVENT_TRIGGERS_SQL: string = `
drop event trigger if exists fourfold_ddl_start;
create event trigger fourfold_ddl_start on ddl_command_start when tag in ('ALTER TABLE')
  execute function fourfold.announce_ddl();
alter event trigger fourfold_ddl_start enable always;
drop event trigger if exists fourfold_ddl_end;
create event trigger fourfold_ddl_end on ddl_command_end execute function fourfold.announce_ddl();
alter event trigger fourfold_ddl_end enable always;
drop event trigger if exists fourfold_sql_drop;
create event trigger fourfold_sql_drop on sql_drop execute function fourfold.announce_ddl();
alter event trigger fourfold_sql_drop enable always`
