import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { it } from 'node:test'

it('the app in the README is the example that is compiled', () => {
  const block = /```ts\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))?.[1]
  assert.equal(block, readFileSync('examples/notes/app.ts', 'utf8'))
})

it('links between pages lead to files that exist', () => {
  const pages = [...globSync('*.md'), ...globSync('docs/**/*.md'), ...globSync('examples/**/*.md')]
  assert.ok(pages.length >= 7)
  const broken = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map(([, target = '']) => join(dirname(page), target))
      .filter((target) => !existsSync(target))
      .map((target) => `${page}: ${target}`),
  )
  assert.deepEqual(broken, [])
})
