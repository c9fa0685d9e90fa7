/** The golden-rule check on apps that keep something in memory, and on one that only looks as if it did. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { checkApp, scriptOf, told } from '../support/golden-rule.ts'

suite('the golden rule', { concurrency: 1 }, () => {
  test('a login, a page, and a limit that are kept in memory are found, each with its likely cause', async () => {
    const found = await checkApp('forgetful', await scriptOf('forgetful'))
    const limit = 'a limit that each clone counts for itself, in its memory'
    const login = 'a login or session kept in the memory of the clone that made it'
    assert.deepEqual(told(found), [
      `9 status: ${login}`,
      `9 header content-type: ${login}`,
      `9 header location: ${login}`,
      `9 body: ${login}`,
      '21 body, line 3: an answer kept from before: a cache in memory that changes made by other clones do not reach',
      `27 header x-ratelimit-remaining: ${limit}`,
      `30 status: ${limit}`,
      `30 header x-ratelimit-remaining: ${limit}`,
    ])
    // A page that stays with its readers is met only where writes go elsewhere, or where two clones alternate.
    const page = found.differences.find(({ place }) => place === 'body, line 3')
    assert.deepEqual(page?.runs, ['reads apart from writes', 'back and forth'])
    assert.deepEqual(found.accesses, [])
  })

  test("Express with express-session's own store is found", async () => {
    const found = await checkApp('express-session', 'POST /login\n###\nGET /me\n', { clones: 2, ways: 1 })
    assert.deepEqual(
      found.differences.map(({ place, expected, got }) => [place, expected, got]),
      [
        ['status', '200', '401'],
        ['body $.user', '"ada"', undefined],
        ['body $.error', undefined, '"nobody is signed in"'],
      ],
    )
  })

  test('an app that answers differently each time, and keeps the rule, is not accused', async () => {
    const found = await checkApp('restless', await scriptOf('restless'), { clones: 2 })
    assert.deepEqual(told(found), [])
    assert.ok(found.noise.length >= 4)
    assert.deepEqual(
      found.replayed.map(({ status }) => status),
      [200, 200, 303, 200, 200],
    )
  })

  test('a value that the script needs and that no answer holds is told with its line', async () => {
    const source = '# @name count\nGET /\n###\nGET /{{count.response.body.$.nothing}}\n'
    await assert.rejects(checkApp('counter', source), {
      code: 'FF_CHECK_SCRIPT',
      message: /^counter\.http:4: "count" was answered 200, and holds no json \$\.nothing$/,
    })
  })
})
