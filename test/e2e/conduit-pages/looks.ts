/** What a page looks like where there is little room. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { publish, register, unique } from '../../support/conduit.ts'
import { signIn, visit, type Given } from './visits.ts'

export function lookTests(given: Given): void {
  describe('how pages look', () => {
    test('on a phone nothing is wider than it, no word of the bar is broken, and round pictures are round', async (t) => {
      const author = await register(given.call, 'somebody-with-a-name-as-long-as-this')
      const { slug } = await publish(given.call, author)
      const comment = { comment: { body: 'A comment' } }
      await given.call('POST', `/articles/${slug}/comments`, { token: author.token, body: comment })
      await given.caughtUp()
      const visitor = await visit(t, given)
      const { page } = visitor
      const look = async (path: string): Promise<void> => {
        await page.goto(path)
        for (const width of [375, 320]) {
          await page.setViewportSize({ width, height: 640 })
          const seen = await page.evaluate(measure)
          assert.ok(seen.width <= width, `${path} is ${seen.width} wide on ${width}`)
          assert.deepEqual(seen.broken, [], `${path} on ${width}`)
          assert.deepEqual(seen.squeezed, [], `${path} on ${width}`)
        }
      }
      const paths = [`/article/${slug}`, `/profile/${author.username}`]
      for (const path of [...paths, '/login']) await look(path)
      await signIn(visitor, author)
      for (const path of [...paths, '/settings', `/tag/${unique('none')}`]) await look(path)
    })
  })
}

/** In the page. */
function measure(): { width: number; broken: string[]; squeezed: string[] } {
  const { document } = globalThis as any
  const links: any[] = [...document.querySelectorAll('.navbar .nav-link')]
  const pictures: any[] = [...document.querySelectorAll('main img, .navbar img')]
  return {
    width: document.documentElement.scrollWidth,
    broken: links.filter(({ offsetHeight }) => offsetHeight > 50).map(({ textContent }) => textContent.trim()),
    squeezed: pictures
      .filter(({ offsetWidth, offsetHeight }) => Math.abs(offsetWidth - offsetHeight) > 1)
      .map(({ className }) => className),
  }
}
