/** A baker ends, whatever the app's own code does. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { definePage } from '../../src/pages/define-page.ts'
import { bakerGround } from '../support/baker-ground.ts'
import { waitFor } from '../support/wait-for.ts'

let asked = 0
const endless = definePage({
  path: '/endless/:id',
  params: async (): Promise<{ id: string }[]> => {
    asked += 1
    return await new Promise(() => undefined)
  },
  render: () => '<h1>never</h1>',
})

suite('a baker', () => {
  const ground = bakerGround({ pages: [endless] })

  test('ends while a list of what is to be baked never comes', async () => {
    const worker = await ground().worker()
    await waitFor('the list to be asked for', () => asked > 0)
    const closed = worker.close().then(() => 'closed')
    assert.equal(await Promise.race([closed, pause(8_000, 'waiting', { ref: false })]), 'closed')
  })
})
