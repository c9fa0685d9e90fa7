/** How much of pages is kept uncompressed beside their memory. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AnsweredPage } from '../../src/pages/answer.ts'
import { makeDocument } from '../../src/pages/document.ts'
import { silentLogger } from '../../src/core/log.ts'
import { definePage } from '../../src/pages/define-page.ts'
import { ExpandedPages } from '../../src/pages/front/expanded-pages.ts'
import { Pages } from '../../src/pages/pages.ts'

test('bodies that were expanded are let go of when together they are too large, and made again', async () => {
  const body = Buffer.from('text '.repeat(1_000))
  const plain = { head: false, acceptEncoding: undefined, ifNoneMatch: undefined, ifModifiedSince: undefined }
  const expanded = new ExpandedPages(2 * body.length)
  const pages = await Promise.all(
    [1, 2, 3].map(async () => new AnsweredPage(await makeDocument(200, [], body, 0), [], expanded.add)),
  )
  const first = pages[0]!.answerTo(plain)
  pages[1]!.answerTo(plain)
  assert.equal(pages[0]!.answerTo(plain), first)
  pages[2]!.answerTo(plain)
  const again = pages[0]!.answerTo(plain)
  assert.notEqual(again, first)
  assert.deepEqual(again, first)
})

test('a clone lets go of them as well, though the pages stay in its memory', async (t) => {
  const bytes = 1024 * 1024
  const entries = new Map<string, object>()
  const core: any = {
    memory: entries,
    checks: { now: () => 'fresh' },
    metrics: { of: () => ({ hits: { memory: 0 } }) },
    makeTools: () => ({}),
  }
  const page = definePage({ path: '/page/:id', render: () => '' })
  const told: any = { appendToStream: async () => 1 }
  const pages = new Pages({
    ...{ definitions: [page], core, store: told, build: '', sessionCookie: 'ff_session', log: silentLogger },
  })
  t.after(() => pages.close())
  for (let id = 0; id < 40; id += 1) {
    const value = await makeDocument(200, [], Buffer.alloc(bytes, `text ${id} `), 0)
    entries.set(pages.routes.match(`/page/${id}`)!.id, { value })
  }
  const answer = async (id: number): Promise<unknown> => {
    const found = await pages.find(pages.routes.match(`/page/${id}`)!, {} as never)
    return found!.page.answer({ method: 'GET', headers: {} }).body
  }
  const first = await answer(0)
  assert.equal(await answer(0), first)
  for (let id = 1; id < 40; id += 1) await answer(id)
  const again = await answer(0)
  assert.notEqual(again, first)
  assert.deepEqual(again, first)
})
