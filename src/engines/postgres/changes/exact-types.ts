/**
 * Types of which two values that print alike are alike, given the settings in {@link exactSettings}: for columns of these, equal
 * bytes in the change stream mean that nothing changed (decision 031). A type that nobody has looked at is not in here,
 * and neither is one whose output leaves something out (xml drops its declaration, money depends on the locale).
 */

const scalars: Readonly<Record<string, number>> = {
  bool: 16,
  bytea: 17,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  cidr: 650,
  float4: 700,
  float8: 701,
  macaddr8: 774,
  macaddr: 829,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  uuid: 2950,
  tsvector: 3614,
  jsonb: 3802,
  int4range: 3904,
  numrange: 3906,
  tsrange: 3908,
  tstzrange: 3910,
  daterange: 3912,
  int8range: 3926,
}

/** Their output quotes elements, tells null from a text, and names bounds that are not the usual ones. */
const arrays: Readonly<Record<string, number>> = {
  json: 199,
  bool: 1000,
  bytea: 1001,
  name: 1003,
  int2: 1005,
  int4: 1007,
  text: 1009,
  bpchar: 1014,
  varchar: 1015,
  int8: 1016,
  float4: 1021,
  float8: 1022,
  timestamp: 1115,
  date: 1182,
  time: 1183,
  timestamptz: 1185,
  interval: 1187,
  numeric: 1231,
  uuid: 2951,
  jsonb: 3807,
}

/** Oids, which the server has fixed for ever. */
export const exactTypes: ReadonlySet<number> = new Set([...Object.values(scalars), ...Object.values(arrays)])

/** By name, for a test that holds them against a server. */
export const exactTypeNames: ReadonlyMap<string, number> = new Map([
  ...Object.entries(scalars),
  ...Object.entries(arrays).map(([name, oid]): [string, number] => [`_${name}`, oid]),
])

/** For the connection that prints. The names of time zones of DateStyle `SQL` are ambiguous, and few digits are lossy. */
export const exactSettings: readonly string[] = [
  `set extra_float_digits = 3`,
  `set datestyle = 'ISO, YMD'`,
  `set intervalstyle = 'postgres'`,
  `set timezone = 'UTC'`,
  `set bytea_output = 'hex'`,
]
