/** How much of pages is kept uncompressed beside their memory. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AnsweredPage } from '../../src/pages/answer.ts'
import { makeDocument } from '../../src/pages/document.ts'
import { ExpandedPages } from '../../src/pages/front/expanded-pages.ts'

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
