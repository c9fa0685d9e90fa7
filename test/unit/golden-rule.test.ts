/** The parts of the golden-rule check that decide what is the same: comparison, routes, cookies. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { createComparison, type Ignored } from '../../src/cli/check/compare.ts'
import { createCookieJar } from '../../src/cli/check/cookie-jar.ts'
import { readIgnored } from '../../src/cli/check/ignored.ts'
import { createRoute } from '../../src/cli/check/routes.ts'

import type { Answer } from '../../src/cli/check/answer.ts'

const nothing: Ignored = { headers: new Set(), json: [], lines: [] }

interface Given {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly json?: unknown
  readonly text?: string
  readonly failure?: string
}

function answer({ status = 200, headers = {}, json, text, failure }: Given): Answer {
  const type = json === undefined ? 'text/html' : 'application/json; charset=utf-8'
  const body = json === undefined ? (text ?? '') : JSON.stringify(json)
  const all = { 'content-type': type, ...headers }
  return { status, headers: Object.entries(all), body: Buffer.from(body), failure: failure ?? null }
}

/** The places that differ in `got`, where one clone answered `singles`. */
function places(singles: readonly Given[], got: Given, ignored: Ignored = nothing): string[] {
  const [first, ...others] = singles.map(answer)
  const comparison = createComparison([first!, ...others], ignored)
  return comparison.differences(answer(got)).map(({ place, expected, got }) => `${place}: ${expected} → ${got}`)
}

suite('comparing answers', () => {
  test('status, headers that clients act on and values by path are told', () => {
    const expected = { headers: { location: '/a', date: 'today', etag: '"1"' }, json: { a: { b: [1, 2] }, c: null } }
    const got = {
      status: 404,
      headers: { date: 'now', etag: '"2"', allow: 'GET' },
      json: { a: { b: [1, 3] }, c: 'x', d: 1 },
    }
    assert.deepEqual(places([expected], got), [
      'status: 200 → 404',
      'header location: /a → undefined',
      'header allow: undefined → get',
      'body $.a.b[1]: 2 → 3',
      'body $.c: null → "x"',
      'body $.d: undefined → 1',
    ])
    assert.deepEqual(places([expected], expected), [])
  })

  test('cookies count by name and attributes, not by value', () => {
    const cookie = (text: string): Given => ({ headers: { 'set-cookie': text } })
    assert.deepEqual(
      places([cookie('sid=1; Path=/; HttpOnly; Max-Age=100')], cookie('sid=2; path=/; Max-Age=90; HttpOnly')),
      [],
    )
    assert.deepEqual(places([cookie('sid=1; Path=/; HttpOnly')], cookie('sid=1; Path=/')), [
      'header set-cookie sid: httponly; path=/; set → path=/; set',
    ])
    assert.deepEqual(places([{}], cookie('other=1')), ['header set-cookie other: undefined → set'])
  })

  test('what varies on one clone is left out, and nothing else is', () => {
    const singles = [{ json: { id: 'a1', at: 1, count: 1 } }, { json: { id: 'b2', at: 2, count: 1 } }]
    assert.deepEqual(places(singles, { json: { id: 'c3', at: 3, count: 1 } }), [])
    assert.deepEqual(places(singles, { json: { id: 'c3', at: 3, count: 0 } }), ['body $.count: 1 → 0'])
    assert.deepEqual(places(singles, { json: { id: null, at: 3, count: 1 } }), ['body $.id: "a1" → null'])
    assert.deepEqual(places(singles, { json: { id: 'c3', count: 1 } }), ['body $.at: 1 → undefined'])
  })

  test('a list whose length varies is left out, one whose order varies is compared without it', () => {
    const lengths = [{ json: { list: [1], x: 1 } }, { json: { list: [1, 2], x: 1 } }]
    assert.deepEqual(places(lengths, { json: { list: [4, 5, 6], x: 1 } }), [])
    const orders = [{ json: { list: ['a', 'b', 'c'] } }, { json: { list: ['b', 'a', 'c'] } }]
    assert.deepEqual(places(orders, { json: { list: ['c', 'b', 'a'] } }), [])
    assert.deepEqual(places(orders, { json: { list: ['c', 'b', 'd'] } }), [
      'body $.list[0]: "a" → "b"',
      'body $.list[1]: "b" → "c"',
      'body $.list[2]: "c" → "d"',
    ])
  })

  test('pages are compared by words: a varying token is left out, the word beside it is not', () => {
    const page = (token: string, name: string, more = ''): Given => ({
      text: `<p>Hello ${name}</p>\n<input name="csrf" value="${token}">${more}\n<p>The end</p>`,
    })
    const singles = [page('a9f', 'Ada'), page('77b', 'Ada')]
    assert.deepEqual(places(singles, page('0c1', 'Ada')), [])
    assert.deepEqual(places(singles, page('0c1', 'Bob')), ['body, line 1: "Ada" → "Bob"'])
    assert.deepEqual(places(singles, page('', 'Ada')), ['body, line 2: "a9f" → undefined'])
    assert.deepEqual(places(singles, page('0c1', 'Ada', '<b>new</b>')), ['body, line 3: undefined → "<b>new</b>"'])
  })

  test('pages that have hardly a word in common are one difference', () => {
    const words = (prefix: string): Given => ({
      text: Array.from({ length: 9000 }, (_, at) => `${prefix}${at}`).join('\n'),
    })
    assert.equal(places([words('a')], words('b')).length, 1)
    assert.deepEqual(places([words('a'), words('b')], words('c')), [])
  })

  test('an answer that did not come is a difference, unless it never comes', () => {
    const failed = { failure: 'socket hang up' }
    assert.deepEqual(places([{ text: 'x' }], failed), ['answer: 200 → socket hang up'])
    assert.deepEqual(places([failed], failed), [])
  })

  test('what a user leaves out is left out', () => {
    const { ignored, ignoredWrites } = readIgnored([
      'header:X-Served-By',
      'json:$.items[*].seen',
      'text:^Rendered',
      'write:/var/log',
    ])
    assert.deepEqual(ignoredWrites, ['/var/log'])
    const json = (by: string, seen: number, name: string): Given => ({
      headers: { 'x-served-by': by },
      json: { items: [{ seen, name }] },
    })
    assert.deepEqual(places([json('a', 1, 'x')], json('b', 2, 'x'), ignored), [])
    assert.deepEqual(places([json('a', 1, 'x')], json('b', 2, 'y'), ignored), ['body $.items[0].name: "x" → "y"'])
    assert.deepEqual(places([{ text: 'a\nRendered by 1' }], { text: 'a\nRendered by 2, slowly' }, ignored), [])
    for (const wrong of ['x', 'header', 'json:items', 'text:(']) {
      assert.throws(() => readIgnored([wrong]), { code: 'FF_CONFIG_INVALID', message: /^--ignore: / })
    }
  })
})

suite('spreading requests', () => {
  const walk = (way: number, clones: number, ...steps: readonly string[]): number[] => {
    const route = createRoute(way, clones)
    return steps.map((step) => route.next({ user: step.split(' ')[1] ?? '', method: step.split(' ')[0] ?? '' }))
  }

  test('each way asks what the others do not', () => {
    assert.deepEqual(walk(0, 3, 'GET', 'POST', 'GET', 'GET', 'GET grace', 'GET grace'), [1, 2, 3, 1, 2, 3])
    assert.deepEqual(walk(1, 3, 'GET', 'POST', 'GET', 'HEAD', 'DELETE'), [1, 3, 1, 1, 3])
    assert.deepEqual(walk(2, 3, 'GET', 'POST', 'GET', 'GET'), [2, 3, 2, 3])
  })

  test('at random a user never meets the same clone twice in a row, and it is the same random every time', () => {
    for (const clones of [2, 3, 5]) {
      const steps = Array.from({ length: 100 }, () => 'GET')
      const met = walk(4, clones, ...steps)
      assert.deepEqual(met, walk(4, clones, ...steps))
      assert.ok(met.every((clone, at) => clone >= 1 && clone <= clones && clone !== met[at - 1]))
      assert.equal(new Set(met).size, clones)
    }
  })
})

suite('cookies', () => {
  test('are kept by name and path, sent where the path fits, and dropped when they end', () => {
    let now = 1_000_000
    const jar = createCookieJar(() => now)
    jar.keep(['a=1; Path=/', 'b=2; Path=/admin', 'c=3', 'd=4; Path=/; Max-Age=60', 'no cookie'], '/shop/cart')
    assert.equal(jar.header('/'), 'a=1; d=4')
    assert.equal(jar.header('/admin/x'), 'b=2; a=1; d=4')
    assert.equal(jar.header('/administration'), 'a=1; d=4')
    assert.equal(jar.header('/shop/x'), 'c=3; a=1; d=4')
    now += 60_000
    assert.equal(jar.header('/'), 'a=1')
    jar.keep(['a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], '/')
    assert.equal(jar.header('/'), null)
  })
})
