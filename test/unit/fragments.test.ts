/** The script that fills in the personal parts of pages: what it is to a browser. What it does there is shown with Conduit. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Script } from 'node:vm'
import { gzipSync } from 'node:zlib'

import { fillFragments, fragmentsScript } from '../../src/client/fragments.ts'
import { fragmentsCookie } from '../../src/pages/readers.ts'

suite('the script for fragments', () => {
  test('is a classic script, of the function alone', () => {
    const asked: string[] = []
    const document = {
      cookie: '',
      documentElement: { dataset: {} },
      addEventListener: (event: string) => asked.push(event),
    }
    new Script(fragmentsScript).runInNewContext({ document })
    assert.deepEqual([asked, document.cookie], [[], ''])
    assert.ok(fragmentsScript.includes(fillFragments.toString()))
  })

  test('does nothing until a page of somebody was seen, which it notes for a day', () => {
    const document = { cookie: '', documentElement: { dataset: { fourfoldReader: '' } } }
    new Script(fragmentsScript).runInNewContext({ document, location: { protocol: 'https:' } })
    assert.equal(document.cookie, `${fragmentsCookie}=1; path=/; samesite=lax; max-age=86400; secure`)
  })

  test('then marks the page before anything of it is there, and waits for the rest', () => {
    const dataset: Record<string, string> = {}
    const asked: string[] = []
    const document = {
      cookie: `theme=dark; ${fragmentsCookie}=1`,
      readyState: 'loading',
      documentElement: { dataset },
      addEventListener: (event: string) => asked.push(event),
    }
    new Script(fragmentsScript).runInNewContext({ document })
    assert.deepEqual([dataset, asked], [{ fourfoldReader: '' }, ['DOMContentLoaded']])
  })

  test('is less than 2 KiB compressed', () => {
    const { length } = gzipSync(fragmentsScript)
    assert.ok(length < 2048, `${length} bytes`)
  })
})
