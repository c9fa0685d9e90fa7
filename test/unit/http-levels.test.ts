/** Levels by the beginnings of paths, and what they mean for pages that balancers answer. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createLevels, type LevelOption } from '../../src/http/levels.ts'

function levelsOf(option: LevelOption<string>, ...paths: string[]) {
  const pages = { perRequest: false, routes: { routes: paths.map((path) => ({ path, query: [], prefix: '' })) } }
  const levelOf = createLevels<string>(option, pages as never, (target) => target)
  return { levelOf, pages }
}

test('the longest beginning of whole segments counts', () => {
  const { levelOf } = levelsOf({ '/api': 'strict', '/api/feed': 'eventual', '/admin/': 'monotonic' })
  const found = ['/api', '/api/users?x=/admin/', '/api/feed/1', '/api/feeds', '/apis', '/admin', '/admin/x', '/'].map(
    levelOf,
  )
  const none = undefined
  assert.deepEqual(found, ['strict', 'strict', 'eventual', 'strict', none, none, 'monotonic', none])
})

test('balancers leave pages to clones only where one of them may get a level of its own', () => {
  const flagged = (option: LevelOption<string>, ...paths: string[]): boolean =>
    levelsOf(option, ...paths).pages.perRequest
  assert.equal(flagged({ '/api': 'strict' }, '/', '/article/:slug', '/profile/:name'), false)
  assert.equal(flagged({ '/article': 'strict' }, '/article/:slug'), true)
  assert.equal(flagged({ '/article/special': 'strict' }, '/article/:slug'), true)
  assert.equal(flagged({ '/api': 'strict' }, '/:anything'), true)
  assert.equal(flagged({ '/api': 'strict' }, '/*'), true)
  assert.equal(
    flagged(() => undefined, '/'),
    true,
  )
  assert.equal(flagged('strict', '/'), true)
  assert.equal(flagged(undefined, '/'), false)
})
