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
  const { name, load, loadMany, loadManyBy, ttl, values = 'frozen' } = definition
  check(definition)
  const ttlMs = ttl === undefined ? null : parseDuration(ttl)
  const prefix = `${build}:${hashVersion}:o:${name}:${codeOf(definition)}:`
  const batch =
    loadMany &&
    (async (keys: readonly Key[], options: LoadOptions) => {
      for (const key of keys) await checkKey(definition, key)
      const answers = await loadMany(tools(options) as never, keys)
      return new Map(keys.map((key) => [prefix + canonicalKey(key, name), answers.get(key) ?? null]))
    })
  return {
    name,
    prefix,
    ttlMs,
    values,
    clusterWide: true,
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
function codeOf({ load, loadMany, loadManyBy, type, version = 0 }: ObjectDefinition): string {
  const text = [version, String(load), String(loadMany), loadManyBy, type?.name].join('\u0000')
  return createHash('sha256').update(text).digest('base64url').slice(0, 12)
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
