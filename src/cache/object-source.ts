/** From an object's definition to what look-ups need: its tools, its batch, and the name under which entries stand. */

import { createHash } from 'node:crypto'

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { hashVersion } from '../freshness/changes/hash.ts'
import { canonicalKey, type Key } from './keys.ts'

import type { LoadContext, ObjectDefinition } from './define-object.ts'
import type { LoadOptions, Source } from './source.ts'

/** Makes what a load is given: databases that record, and the use of other objects. */
export type MakeTools = (options: LoadOptions) => Record<string, unknown> & LoadContext

/**
 * @param build names the app's code; entries of different builds never meet
 * @param tools for loads of this app
 * @throws FF_CACHE_OBJECT
 */
export function createObjectSource(definition: ObjectDefinition, build: string, tools: MakeTools): Source<Key> {
  const { name, load, loadMany, loadManyBy, ttl, values = 'frozen', bake = false } = definition
  check(definition)
  const ttlMs = ttl === undefined ? null : parseDuration(ttl)
  const prefix = `${build}:${hashVersion}:o:${name}:${codeOf(definition)}:`
  const batch =
    loadMany &&
    (async (keys: readonly Key[], options: LoadOptions) => {
      for (const key of keys) await checkKey(definition, key)
      const answers = await loadMany(tools(options) as never, keys)
      checkAnswers(name, keys, answers)
      return new Map(keys.map((key) => [prefix + canonicalKey(key, name), answers.get(key) ?? null]))
    })
  return {
    name,
    prefix,
    ttlMs,
    values,
    clusterWide: true,
    ...(bake && { baked: true }),
    load: async (key, options) => {
      await checkKey(definition, key)
      return await load(tools(options) as never, key)
    },
    ...(batch && { loadMany: batch }),
    ...(loadManyBy !== undefined && { loadManyBy }),
  }
}

function check({ name, load, loadMany, loadManyBy }: ObjectDefinition): void {
  const fields = { name }
  if (typeof name !== 'string' || !/^[\w.-]{1,100}$/.test(name)) {
    const message = `The name of a cached object: expected letters, digits, "-", "_" and ".", got ${JSON.stringify(name)}`
    throw new FourfoldError('FF_CACHE_OBJECT', message, { fields })
  }
  if (typeof load !== 'function') {
    throw new FourfoldError('FF_CACHE_OBJECT', `The object ${name}: expected a function load`, { fields })
  }
  if (loadManyBy !== undefined && loadMany === undefined) {
    const message = `The object ${name}: loadManyBy says something about loadMany, which is missing`
    throw new FourfoldError('FF_CACHE_OBJECT', message, { fields })
  }
}

/** Where there is no build, or two apps share a tier, the code of the load tells entries apart. */
function codeOf({ load, loadMany, loadManyBy, type, values, version = 0 }: ObjectDefinition): string {
  const text = [version, String(load), String(loadMany), loadManyBy, type?.name, values].join('\u0000')
  return createHash('sha256').update(text).digest('base64url').slice(0, 12)
}

/**
 * A key that is missing in the map has the answer null; so the map must not have it under another type, as a bigint
 * column's text for a number, or as another record with the same fields.
 *
 * @throws FF_CACHE_LOAD_KEYS
 */
function checkAnswers(name: string, keys: readonly Key[], answers: ReadonlyMap<unknown, unknown>): void {
  const missing = keys.filter((key) => !answers.has(key))
  if (missing.length === 0) return
  const asked = new Set<unknown>(keys)
  const strays = new Map([...answers.keys()].filter((key) => !asked.has(key)).map((key) => [looseText(key), key]))
  for (const key of missing) {
    const text = looseText(key)
    if (!strays.has(text)) continue
    const message =
      `loadMany of ${name} was asked for the ${typeof key} ${text} and answered for a ${typeof strays.get(text)} of ` +
      'this text: use the very keys that it is given as the keys of the map'
    throw new FourfoldError('FF_CACHE_LOAD_KEYS', message, { fields: { object: name } })
  }
}

function looseText(key: unknown): string {
  if (typeof key !== 'object' || key === null) return String(key)
  const fields = Object.entries(key).map(([name, value]) => [name, String(value)] as const)
  return JSON.stringify(fields.toSorted(([one], [two]) => (one < two ? -1 : 1)))
}

async function checkKey({ name, key: schema }: ObjectDefinition, key: unknown): Promise<void> {
  if (schema === undefined) return
  const result = (await schema['~standard'].validate(key)) as {
    readonly issues?: readonly { readonly message: string }[]
  }
  if (result.issues === undefined) return
  const message = `A key of ${name} is not as declared: ${result.issues.map((issue) => issue.message).join('; ')}`
  throw new FourfoldError('FF_CACHE_KEY', message, { fields: { object: name } })
}
