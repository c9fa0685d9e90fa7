/** What processes tell each other of pages: which entries there are, and how often they are asked for. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { announcementOf } from '../../src/pages/announcements.ts'

const toldOf = (source: object, value: unknown): boolean =>
  announcementOf({
    source: { name: 'one', prefix: 'one:', ...source } as never,
    key: 'a',
    id: 'one:sa',
    entry: { value, parts: [], filledAtMs: 0, expiresAtMs: Infinity, loadMs: 1 },
  }).found

test('a page is there by its status, and an object whatever its fields are called', () => {
  const page = { route: { path: '/one' } }
  assert.equal(toldOf(page, { status: 200 }), true)
  assert.equal(toldOf(page, { status: 404 }), false)
  assert.equal(toldOf({}, { status: 500 }), true)
  assert.equal(toldOf({}, { status: 'paid' }), true)
  assert.equal(toldOf({}, null), false)
})
