/** What processes tell each other of pages: which entries there are, and how often they are asked for. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { unpack } from 'msgpackr'

import { silentLogger } from '../../src/core/log.ts'
import { announcementOf } from '../../src/pages/announcements.ts'
import { Visits, type Visited } from '../../src/pages/visits.ts'
import { waitFor } from '../support/wait-for.ts'

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

/** Visits that are told to nobody but the test. */
function visitsOf(t: TestContext): {
  readonly visits: Visits
  readonly told: (readonly Visited[])[]
  readonly sizes: number[]
} {
  const told: Visited[][] = []
  const sizes: number[] = []
  const appendToStream = async (_: string, bytes: Buffer): Promise<number> => {
    told.push(unpack(bytes) as Visited[])
    return sizes.push(bytes.length)
  }
  const visits = new Visits({ store: { appendToStream } as never, build: '', log: silentLogger, everyMs: 2 })
  t.after(() => visits.close())
  return { visits, told, sizes }
}

test('a page that is asked for less than all others is told in its turn, and none is lost on the way', async (t) => {
  const { visits, told } = visitsOf(t)
  const name = (at: number): string => `page:${'x'.repeat(100)}:${at}`
  visits.add('seldom')
  let asked = 0
  await waitFor('it is told', () => {
    asked += 10
    for (let at = 0; at < 2_000; at += 1) for (let count = 0; count < 10; count += 1) visits.add(name(at))
    return told.flat().some(([id]) => id === 'seldom')
  })
  const most = told[0]!.filter(([id]) => id !== 'seldom')
  assert.ok(most.length > 300, `${most.length} were told at once`)
  // Those that nobody asks for any more are told to the end.
  await waitFor('all are told', () => told.flat().reduce((sum, [, count]) => sum + count, 0) === asked * 2_000 + 1)
})

test('what is told at once, and what waits for it, is bounded in bytes, whatever the addresses are', async (t) => {
  const { visits, sizes } = visitsOf(t)
  for (let at = 0; at < 20_000; at += 1) visits.add(`page:${'ü'.repeat(3_000)}:${at}`)
  visits.add(`page:${'x'.repeat(20_000)}`)
  assert.ok(visits.chars <= 4 * 1024 * 1024, `${visits.chars} characters wait`)
  await waitFor('all are told', () => sizes.length > 0 && visits.chars === 0)
  assert.ok(Math.max(...sizes) < 70_000, `${Math.max(...sizes)} bytes`)
})
