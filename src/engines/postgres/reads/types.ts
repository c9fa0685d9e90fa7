/**
 * The little that reads need to know of PostgreSQL's types: which columns rows can be told apart by, and which types
 * bring the clock or the settings of the session into an answer.
 */

/** Types whose values compare with each other by built-in `=` and print alike where they are equal. */
export type Family = 'int' | 'uuid' | 'bool' | 'text' | `enum:${number}`

/** Oids that the server has fixed for ever. */
export const typeOids = {
  bool: 16,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  json: 114,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  numeric: 1700,
  uuid: 2950,
  tsvector: 3614,
  tsquery: 3615,
  jsonb: 3802,
} as const

const builtInFamilies: ReadonlyMap<number, Family> = new Map<number, Family>([
  [typeOids.int2, 'int'],
  [typeOids.int4, 'int'],
  [typeOids.int8, 'int'],
  [typeOids.uuid, 'uuid'],
  [typeOids.bool, 'bool'],
  [typeOids.text, 'text'],
  [typeOids.varchar, 'text'],
])

export function familyOf(type: number, isEnum: boolean): Family | null {
  return isEnum ? `enum:${type}` : (builtInFamilies.get(type) ?? null)
}

/** Their meaning as a date, or as text, depends on the setting TimeZone. */
export function isZoned(type: number): boolean {
  return type === typeOids.timestamptz || type === typeOids.timetz
}

/** Types whose input knows `today` and `now`. */
export function isTime(type: number): boolean {
  return isZoned(type) || type === typeOids.date || type === typeOids.time || type === typeOids.timestamp
}

/** Built-in types that a value may be cast to, by the names that the grammar gives them; 0: the oid does not matter here. */
export const builtInTypes: ReadonlyMap<string, number> = new Map<string, number>([
  ...Object.entries(typeOids),
  ...`bytea char oid xml point lseg path box polygon line circle money macaddr macaddr8 inet cidr bit varbit pg_lsn
  jsonpath int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange
  tsmultirange tstzmultirange datemultirange`
    .split(/\s+/)
    .map((name): [string, number] => [name, 0]),
])
