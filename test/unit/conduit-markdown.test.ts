/** Texts that keep a Markdown renderer busy for minutes, or nest deeper than the stack: one page must not cost a clone. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { renderArticle, renderComments } from '../../examples/conduit/src/pages/markdown.ts'

const longest = 500_000
const bombs: [string, string][] = [
  ['underscores', 'a_'.repeat(longest / 2)],
  ['nested quotations', '>'.repeat(longest)],
  ['asterisks', `${'*'.repeat(longest / 2)}a${'*'.repeat(longest / 2 - 1)}`],
  ['an address without an end', `${'a'.repeat(longest - 1)}@`],
]

for (const [what, text] of bombs) {
  test(`${what} stay as they were written, soon`, () => {
    const begun = performance.now()
    const shown = String(renderArticle(text))
    // A loaded machine is slow; without a limit this takes minutes, or fails.
    assert.ok(performance.now() - begun < 5000)
    assert.ok(shown.startsWith('<pre>') && shown.endsWith('</pre>'))
    assert.ok(!shown.slice(5, -6).includes('<'))
  })
}

test('comments share one time: those that are rendered by then are shown so, the others as they were written', () => {
  const [text] = bombs[0]?.slice(1) ?? []
  const begun = performance.now()
  const shown = renderComments(['*first*', ...Array<string>(50).fill(text?.slice(0, 20_000) ?? ''), '<b>last']).map(
    String,
  )
  assert.ok(performance.now() - begun < 5000)
  assert.equal(shown.length, 52)
  assert.match(shown[0] ?? '', /<em>first<\/em>/)
  assert.equal(shown.at(-1), '<pre>&lt;b&gt;last</pre>')
})

test('a long text that is no trouble is rendered', () => {
  assert.match(String(renderArticle('Some *text*.\n\n'.repeat(500))), /^<p>Some <em>text<\/em>/)
})
