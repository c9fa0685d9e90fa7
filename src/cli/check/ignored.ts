/** `--ignore header:x-served-by` and its like. */

import { resolve } from 'node:path'

import { parseJsonPath } from './json-path.ts'
import { FourfoldError } from '../../core/errors.ts'

import type { Ignored } from './compare.ts'

/** @throws FF_CONFIG_INVALID */
export function readIgnored(words: readonly string[]): { ignored: Ignored; ignoredWrites: readonly string[] } {
  const headers = new Set<string>()
  const json: string[] = []
  const lines: RegExp[] = []
  const ignoredWrites: string[] = []
  for (const word of words) {
    const [, kind, rest = ''] = /^(\w+):(.+)$/s.exec(word) ?? []
    if (kind === 'header') headers.add(rest.toLowerCase())
    else if (kind === 'json' && parseJsonPath(rest.replaceAll('[*]', '[0]')) !== null) json.push(rest)
    else if (kind === 'text') lines.push(readPattern(rest))
    else if (kind === 'write') ignoredWrites.push(resolve(rest))
    else throw refuse(`expected header:NAME, json:$.PATH, text:PATTERN or write:PATH, got "${word}"`)
  }
  return { ignored: { headers, json, lines }, ignoredWrites }
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw refuse(`text: ${String(error)}`)
  }
}

const refuse = (message: string): FourfoldError => new FourfoldError('FF_CONFIG_INVALID', `--ignore: ${message}`)
