/** What becomes of a baked entry that the tier did not take. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { createEntryMemory } from '../../src/cache/entry-memory.ts'
import { Keeper } from '../../src/cache/keeper.ts'
import { silentLogger } from '../../src/core/log.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Entry } from '../../src/cache/entry.ts'

const entry = (): Entry => ({ value: 'page', parts: [], filledAtMs: 1, expiresAtMs: Infinity, loadMs: 1 })

function keep(answers: boolean[]): {
  keeper: Keeper
  memory: ReturnType<typeof createEntryMemory>
  told: string[]
  asked: () => number
} {
  const memory = createEntryMemory({ maxBytes: 2 ** 20 })
  const told: string[] = []
  let asked = 0
  const shared = { present: true, set: async () => ((asked += 1), answers.shift() ?? true) }
  const onKept = async ({ id }: { id: string }): Promise<void> => void told.push(id)
  const keeper = new Keeper({ memory, shared, onKept, log: silentLogger } as never)
  return { keeper, memory, told, asked: () => asked }
}

const of = { source: { name: '/page', baked: true } as never, key: 'a' }

suite('a baked entry that the tier did not take', () => {
  test('is put there when the tier is back, and told of then', async () => {
    const { keeper, memory, told, asked } = keep([false, false])
    const held = memory.set('a', entry(), 'own')
    keeper.publish('a', held, new Uint8Array(1), null, of)
    await waitFor('it is told of', () => told.length === 1)
    assert.equal(asked(), 3)
    await keeper.settle()
  })

  test('is given up when another has taken its place, and at the end', async () => {
    const { keeper, memory, told, asked } = keep([false, false])
    keeper.publish('a', memory.set('a', entry(), 'own'), new Uint8Array(1), null, of)
    await waitFor('the tier was asked', () => asked() === 1)
    memory.set('a', entry(), 'own')
    await waitFor('it is told of all the same', () => told.length === 1)
    assert.equal(asked(), 1)
    const last = keep(Array.from({ length: 99 }, () => false))
    last.keeper.publish('a', last.memory.set('a', entry(), 'own'), new Uint8Array(1), null, of)
    await last.keeper.settle()
  })
})
