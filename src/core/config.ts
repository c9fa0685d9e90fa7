/**
 * Turns what people wrote, the environment and the command line into one checked configuration.
 *
 * - Later sources win: defaults, then the app, then the environment, then the command line.
 * - The environment's rule: `FOURFOLD_` and the path in upper snake case. A short alias (`DATABASE_URL`) counts
 *   only where the full name is absent. An empty variable counts as absent.
 * - Every mistake is found and all are reported together, each with its path, what was expected and what came.
 * - A `FOURFOLD_` variable that fits no key is a warning, not a mistake: Kubernetes puts such variables into every
 *   container when a service is named `fourfold`.
 * - What is secret never stands in a message or a listing.
 */

import { parseBytes } from './bytes.ts'
import { indexEnv, parseVariable, strayVariables, type Environment, type Variable } from './config-environment.ts'
import {
  describeExpected,
  environmentName,
  isWithin,
  joinPath,
  outputName,
  type DurationField,
  type Field,
  type GroupField,
  type OutputOf,
  type RecordField,
} from './config-schema.ts'
import { isSecret, show, showField } from './config-shown.ts'
import { parseDuration } from './duration.ts'
import { FourfoldError } from './errors.ts'
import { nearestKey } from './nearest-key.ts'

export interface ConfigProblem {
  readonly path: string
  readonly message: string
}

/** One setting as `fourfold config` shows it. */
export interface ConfigSetting {
  readonly path: string
  /** The value as text, secrets taken out. */
  readonly shown: string
  /** Where it came from: `default`, `app`, `option`, or the environment variable's name. */
  readonly origin: string
}

export interface ConfigSources {
  /** What the app says. */
  readonly app: unknown
  readonly env: Environment
  /** What the command line says; the same shape as the app's, only what differs. */
  readonly options?: unknown
}

export interface ConfigRules<S extends GroupField> {
  /** Short environment names and the paths they stand for: `{ DATABASE_URL: 'databases.main.url' }`. */
  readonly aliases?: Readonly<Record<string, string>>
  /** `FOURFOLD_` variables that are no settings. */
  readonly reserved?: readonly string[]
  /** Finds mistakes that no field can see by itself. What is wrong by itself is absent. */
  readonly check?: (config: Incomplete<OutputOf<S>>) => readonly ConfigProblem[]
}

/** A value of which any part may be absent. */
export type Incomplete<T> = T extends object ? { readonly [K in keyof T]?: Incomplete<T[K]> | undefined } : T

export interface ResolvedSettings<S extends GroupField> {
  readonly config: OutputOf<S>
  readonly settings: readonly ConfigSetting[]
  readonly warnings: readonly string[]
}

interface Reading {
  /** By the full name of the setting; `name` is the variable that it was read from. */
  readonly env: Map<string, Variable>
  readonly used: Set<string>
  readonly problems: ConfigProblem[]
  readonly settings: ConfigSetting[]
}

/** A value on its way through a field: one per source, the later one wins. */
interface Given {
  readonly app: unknown
  readonly option: unknown
}

/**
 * Resolves a configuration against its schema.
 *
 * @throws FF_CONFIG_INVALID with `fields.problems`: all mistakes, each with `path` and `message`
 */
export function readConfig<const S extends GroupField>(
  schema: S,
  sources: ConfigSources,
  rules: ConfigRules<S> = {},
): ResolvedSettings<S> {
  const reading: Reading = {
    env: indexEnv(sources.env, rules.aliases ?? {}),
    used: new Set(),
    problems: [],
    settings: [],
  }
  const config = readGroup(schema, '', { app: sources.app, option: sources.options }, reading) as OutputOf<S>
  reading.problems.push(...(rules.check?.((config ?? {}) as Incomplete<OutputOf<S>>) ?? []))
  if (reading.problems.length > 0) throw invalid(reading.problems)
  const paths = reading.settings.map(({ path }) => path)
  return {
    config,
    settings: reading.settings,
    warnings: strayVariables(schema, sources.env, { paths, used: reading.used }, rules.reserved ?? []),
  }
}

function readGroup(group: GroupField, path: string, given: Given, reading: Reading): object | undefined {
  spreadVariable(group, path, reading)
  const app = openGroup(group, path, given.app, reading)
  const option = openGroup(group, path, given.option, reading)
  if (app === null || option === null) return undefined
  const output: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(group.fields)) {
    const value = readField(field, joinPath(path, key), { app: app[key], option: option[key] }, reading)
    if (value !== undefined && field.kind !== 'code') output[outputName(key, field)] = value
  }
  return output
}

/** Lets `FOURFOLD_CLONES=4` stand for each of the keys that a bare number sets, unless the key has its own. */
function spreadVariable(group: GroupField, path: string, reading: Reading): void {
  const bare = reading.env.get(environmentName(path))
  if (bare === undefined) return
  for (const key of group.numberSets ?? []) {
    const name = environmentName(joinPath(path, key))
    if (!reading.env.has(name)) reading.env.set(name, bare)
  }
}

/** A group's keys, with a bare number spread out and unknown keys reported; null if it is no group at all. */
function openGroup(group: GroupField, path: string, value: unknown, reading: Reading): Record<string, unknown> | null {
  if (value === undefined) return {}
  if (typeof value === 'number' && group.numberSets !== undefined) {
    return Object.fromEntries(group.numberSets.map((key) => [key, value]))
  }
  if (!isPlain(value)) {
    complain(reading, path, `expected ${describeExpected(group)}, got ${show(value)}`)
    return null
  }
  const known = Object.keys(group.fields)
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) complain(reading, joinPath(path, key), unknownKey(key, known))
  }
  return value
}

function readField(field: Field, path: string, given: Given, reading: Reading): unknown {
  if (field.kind === 'group') return readGroup(field, path, given, reading)
  if (field.kind === 'record') return readRecord(field, path, given, reading)
  const fromEnv = given.option === undefined ? readEnv(field, path, reading) : undefined
  const said = given.option ?? fromEnv ?? given.app
  const value = said === undefined && 'default' in field ? field.default : said
  if (value === undefined) {
    if (field.required === true) complain(reading, path, `is required; expected ${describeExpected(field)}`)
    return undefined
  }
  const origin = originOf(given, fromEnv, path, reading)
  const failures: string[] = []
  const result = convert(field, value, path, reading, (message) => failures.push(message))
  const source = origin.startsWith('app') || origin === 'default' ? '' : ` (from ${origin})`
  for (const message of failures) complain(reading, path, `${message}${source}`)
  if (field.kind !== 'code') reading.settings.push({ path, shown: showField(field, value), origin })
  return result
}

function readRecord(field: RecordField, path: string, given: Given, reading: Reading): object {
  const output: Record<string, unknown> = {}
  for (const value of [given.app, given.option]) {
    if (value !== undefined && !isPlain(value)) complain(reading, path, `expected an object, got ${show(value)}`)
  }
  const app = isPlain(given.app) ? given.app : {}
  const option = isPlain(given.option) ? given.option : {}
  for (const name of Object.keys({ ...app, ...option })) {
    const value = readGroup(
      field.of,
      joinPath(path, name),
      { app: app[name] === undefined ? {} : app[name], option: option[name] },
      reading,
    )
    if (value !== undefined) output[name] = value
  }
  return output
}

/** The value in the form that the code gets. Reports what is wrong and answers undefined then. */
function convert(
  field: Field,
  value: unknown,
  path: string,
  reading: Reading,
  fail: (message: string) => void,
): unknown {
  const wrong = (): undefined => {
    fail(`expected ${describeExpected(field)}, got ${isSecret(field) ? typeof value : show(value)}`)
    return undefined
  }
  switch (field.kind) {
    case 'text':
      return typeof value === 'string' && value !== '' ? value : wrong()
    case 'number':
      return isWholeNumber(value, field.min, field.max) ? value : wrong()
    case 'duration':
      return attempt(() => within(field, parseDuration(value as string)), wrong)
    case 'bytes':
      return attempt(() => parseBytes(value as string), wrong)
    case 'choice':
      return field.options.includes(value as string) ? value : wrong()
    case 'data':
      return typeof value === 'boolean' || (typeof value === 'object' && value !== null) ? value : wrong()
    case 'code':
      return (field.list === true ? Array.isArray(value) : typeof value === 'function') ? value : wrong()
    case 'countOrList':
      if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? value : wrong()
      return Array.isArray(value) ? convertItems(field.of, value, path, reading) : wrong()
    case 'list':
      return Array.isArray(value) ? convertItems(field.of, value, path, reading) : wrong()
    case 'group':
    case 'record':
      return readField(field, path, { app: value, option: undefined }, reading)
  }
}

function convertItems(field: Field, items: readonly unknown[], path: string, reading: Reading): readonly unknown[] {
  return items.map((item, index) => {
    const itemPath = `${path}[${index}]`
    return convert(field, item, itemPath, reading, (message) => complain(reading, itemPath, message))
  })
}

/** The environment's value for a path, in the form in which the app would have written it. */
function readEnv(field: Field, path: string, reading: Reading): unknown {
  const found = reading.env.get(environmentName(path))
  if (found === undefined || field.kind === 'code') return undefined
  reading.used.add(found.name)
  return parseVariable(field, found.text)
}

function originOf(given: Given, fromEnv: unknown, path: string, reading: Reading): string {
  if (given.option !== undefined) return 'option'
  if (fromEnv !== undefined) return reading.env.get(environmentName(path))?.name ?? 'environment'
  return given.app === undefined ? 'default' : 'app'
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearestKey(key, known)
  return `there is no such key${near === null ? '' : `; did you mean "${near}"?`} Known here: ${known.join(', ')}`
}

function invalid(problems: readonly ConfigProblem[]): FourfoldError {
  const lines = problems.map(({ path, message }) => `  ${path}: ${message}`)
  const count = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`
  return new FourfoldError('FF_CONFIG_INVALID', `the configuration has ${count}:\n${lines.join('\n')}`, {
    fields: { problems },
  })
}

function complain(reading: Reading, path: string, message: string): void {
  reading.problems.push({ path: path === '' ? 'app' : path, message })
}

function isWholeNumber(value: unknown, min = -Infinity, max = Infinity): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}

/** @throws RangeError if a field does not take so much, or so little */
function within(field: DurationField, ms: number): number {
  if (!isWithin(ms, field)) throw new RangeError(`${ms} ms`)
  return ms
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function attempt<T>(work: () => T, otherwise: () => T | undefined): T | undefined {
  try {
    return work()
  } catch {
    return otherwise()
  }
}
