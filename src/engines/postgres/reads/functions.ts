/**
 * Which functions an answer may be cached with. A positive list, as for routing, but stricter: the answer has to depend
 * on the arguments alone. What is declared stable only because it prints values stands in it too, since the settings
 * that decide about printing are those of the role; what looks at the clock, at chance or at the time zone needs a time
 * to live.
 */

import { immutableFunctions } from '../classify/functions.ts'

/** What calling a function means for caching. */
export type CallEffect =
  /** Depends on its arguments alone. */
  | 'none'
  /** Likewise, unless an argument is a timestamptz or timetz. */
  | 'none-unless-zoned'
  | 'unknown'
  | { readonly volatile: string }

/** `configured`: whether the first of several arguments can be a text search configuration. */
export function callEffect(name: string, argumentCount: number, configured: boolean): CallEffect {
  if (immutableFunctions.has(name) || printing.has(name)) return 'none'
  if (clock.has(name) || (name === 'age' && argumentCount < 2)) return { volatile: `${name}() depends on the time` }
  if (name === 'age') return 'none'
  if (chance.has(name)) return { volatile: `${name}() gives another answer each time` }
  if (name === 'current_setting') return { volatile: 'current_setting() depends on the session' }
  const plainArguments = textSearch.get(name)
  if (plainArguments !== undefined) {
    const given = name === 'ts_headline' ? configured : argumentCount > plainArguments
    return given ? 'none' : { volatile: `${name}() depends on the setting default_text_search_config` }
  }
  return zoneEffect(name, argumentCount)
}

export function zoneReason(name: string): string {
  return `${name}() of a timestamptz depends on the setting TimeZone`
}

function zoneEffect(name: string, argumentCount: number): CallEffect {
  const immutableFrom = zoned.get(name)
  if (immutableFrom === undefined) return 'unknown'
  if (argumentCount >= immutableFrom) return name === 'timezone' ? 'none-unless-zoned' : 'none'
  return alwaysZoned.has(name) ? { volatile: zoneReason(name) } : 'none-unless-zoned'
}

const words = (text: string): string[] => text.trim().split(/\s+/)

/** Stable in the server's eyes, for the settings by which values are printed or read, or for the labels of an enum. */
const printing: ReadonlySet<string> = new Set(
  words(`
  array_to_json array_to_string concat concat_ws convert convert_from convert_to enum_first enum_last enum_range format
  json_agg json_agg_strict json_build_array json_build_object json_object_agg json_object_agg_strict
  json_object_agg_unique json_to_record json_to_recordset jsonb_agg jsonb_agg_strict jsonb_build_array
  jsonb_build_object jsonb_to_record jsonb_to_recordset length like_escape numeric pg_typeof quote_literal
  quote_nullable row_to_json similar_to_escape to_date to_json to_jsonb to_number`),
)

const clock: ReadonlySet<string> = new Set(
  words('now statement_timestamp transaction_timestamp clock_timestamp timeofday'),
)

const chance: ReadonlySet<string> = new Set(
  words('random random_normal gen_random_uuid uuidv4 uuidv7 uuid_generate_v4 array_sample array_shuffle'),
)

/** With how many arguments there is no configuration among them. */
const textSearch: ReadonlyMap<string, number> = new Map([
  ['to_tsvector', 1],
  ['to_tsquery', 1],
  ['plainto_tsquery', 1],
  ['phraseto_tsquery', 1],
  ['websearch_to_tsquery', 1],
  ['json_to_tsvector', 2],
  ['jsonb_to_tsvector', 2],
  ['ts_headline', 0],
])

const never = Number.POSITIVE_INFINITY

/** From how many arguments on the time zone is among them. */
const zoned: ReadonlyMap<string, number> = new Map([
  ['to_char', never],
  ['date_trunc', 3],
  ['date_part', never],
  ['extract', never],
  ['overlaps', never],
  ['generate_series', 4],
  ['date_add', 3],
  ['date_subtract', 3],
  ['timezone', 2],
  ['to_timestamp', never],
  ['make_timestamptz', 7],
  ['jsonb_path_exists_tz', never],
  ['jsonb_path_match_tz', never],
  ['jsonb_path_query_tz', never],
  ['jsonb_path_query_array_tz', never],
  ['jsonb_path_query_first_tz', never],
])

/** Whatever the types of their arguments. */
const alwaysZoned: ReadonlySet<string> = new Set([
  ...words('date_add date_subtract timezone make_timestamptz to_timestamp'),
  ...[...zoned.keys()].filter((name) => name.endsWith('_tz')),
])
