/**
 * The environment as a source of configuration: which variable stands for which setting, what its text means, and which
 * variables fit nothing.
 */

import { environmentName, joinPath, type Field, type GroupField } from './config-schema.ts'
import { nearestKey } from './nearest-key.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Variable {
  readonly name: string
  readonly text: string
}

/** The variables by the full names of what they set; empty ones count as absent. */
export function indexEnv(env: Environment, aliases: Readonly<Record<string, string>>): Map<string, Variable> {
  const index = new Map<string, Variable>()
  const names = Object.entries(aliases).map(([name, path]) => [name, environmentName(path)] as const)
  // The full names come last, so that they win over the aliases.
  for (const name of Object.keys(env)) if (name.startsWith('FOURFOLD_') && !(name in aliases)) names.push([name, name])
  for (const [name, target] of names) {
    const text = env[name]
    if (text !== undefined && text !== '') index.set(target, { name, text })
  }
  return index
}

/** A variable's value in the form in which the app would have written it. */
export function parseVariable(field: Field, text: string): unknown {
  switch (field.kind) {
    case 'number':
    case 'duration':
    case 'bytes':
      return readNumber(text)
    case 'choice':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'data':
      return parseJson(text)
    case 'countOrList':
    case 'list': {
      if (field.kind === 'countOrList' && typeof readNumber(text) === 'number') return readNumber(text)
      const items = text.split(',').map((item) => item.trim())
      const present = items.filter((item) => item !== '')
      return field.of.kind === 'group' ? present.map((url) => ({ url })) : present
    }
    default:
      return text
  }
}

function readNumber(text: string): number | string {
  return /^-?\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : text
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Warnings for those that fit no setting, neither of the schema nor of what was read. */
export function strayVariables(
  schema: GroupField,
  env: Environment,
  read: { readonly paths: readonly string[]; readonly used: ReadonlySet<string> },
  reserved: readonly string[],
): readonly string[] {
  const known = [...read.paths.map(environmentName), ...listVariables(schema, '')]
  return Object.keys(env)
    .filter((name) => name.startsWith('FOURFOLD_') && !read.used.has(name) && !reserved.includes(name))
    .filter((name) => env[name] !== '' && !known.includes(name))
    .map((name) => {
      const near = nearestKey(name, known)
      return `${name} fits no setting and is not used${near === null ? '' : `; did you mean ${near}?`}`
    })
}

/** The environment names of all settings outside records, whose names are the user's. */
function listVariables(group: GroupField, path: string): readonly string[] {
  return Object.entries(group.fields).flatMap(([key, field]) => {
    const here = joinPath(path, key)
    if (field.kind === 'group') return [environmentName(here), ...listVariables(field, here)]
    return field.kind === 'record' || field.kind === 'code' ? [] : [environmentName(here)]
  })
}
