/** The registry of errors, the codes in the sources and the reference pages agree. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { stalePages } from '../../scripts/docs.ts'
import { errorRegistry } from '../../src/core/errors.ts'

function codesIn(source: string): readonly string[] {
  return [...source.matchAll(/\bFF_[A-Z]+(?:_[A-Z]+)+\b/g)].map(([code]) => code)
}

/** What declares codes does not use them. */
function isRegistry(path: string): boolean {
  return path === 'src/core/errors.ts' || path.startsWith('src/core/errors/')
}

function usedCodes(): ReadonlyMap<string, string> {
  const used = new Map<string, string>()
  for (const path of globSync('src/**/*.ts').filter((name) => !isRegistry(name))) {
    for (const code of codesIn(readFileSync(path, 'utf8'))) used.set(code, path)
  }
  return used
}

it('every code in the sources is registered', () => {
  const strangers = [...usedCodes()].filter(([code]) => !(code in errorRegistry))
  assert.deepEqual(strangers, [])
})

it('every registered code is in use', () => {
  const used = usedCodes()
  assert.deepEqual(
    Object.keys(errorRegistry).filter((code) => !used.has(code)),
    [],
  )
})

it('every code stands in one area, once, and every area is part of the registry', () => {
  const declared = globSync('src/core/errors/*.ts').flatMap((path) => codesIn(readFileSync(path, 'utf8')))
  assert.deepEqual(declared.toSorted(), Object.keys(errorRegistry).toSorted())
})

it('the pages that come from the code are current', () => {
  assert.deepEqual(stalePages(), [], 'run node -C fourfold:source scripts/docs.ts')
})

it('a planted code would be seen', () => {
  assert.deepEqual(codesIn("throw new FourfoldError('FF_PLANTED_CODE', 'x')"), ['FF_PLANTED_CODE'])
})
