/** Tokens on stores that lose their newest entries, that are away, and that speak of writes nobody could place. */

import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import type { Position, WritePosition } from '../../src/engines/position.ts'
import { fixedReader } from '../../src/freshness/reader.ts'
import { Scope } from '../../src/freshness/scope.ts'
import { TokenStore, type Requirement } from '../../src/freshness/token-store.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { until } from '../../src/testing/until.ts'
import type { Store } from '../../src/store/store.ts'

const epoch = 'epoch-1'

/** A primary that counts, and the store that a client finds at one address: it may fall back to another. */
class Deployment {
  lsn = 100
  epoch = epoch
  store: Store = openMemoryStore()
  away = false
  /** Runs once, right after the next token was read. */
  onTokenRead: (() => void) | null = null

  /** The address of the store, as a driver sees it. */
  readonly address: Store = new Proxy(this.store, {
    get: (_, name: keyof Store) => {
      const member = this.store[name]
      if (typeof member !== 'function') return member
      return async (...given: unknown[]) => {
        if (this.away) throw new Error('the store is away')
        const answer: unknown = await Reflect.apply(member, this.store, given)
        if (name === 'readToken') this.onTokenRead?.()
        return answer
      }
    },
  })

  /** A process of the app. */
  process(t: TestContext): TokenStore {
    const tokens = new TokenStore({
      store: this.address,
      database: 'main',
      readPosition: async (): Promise<WritePosition> => ({ epoch: this.epoch, lsn: this.lsn }) as WritePosition,
      currentEpoch: () => this.epoch,
      ttlMs: 60_000,
      log: silentLogger,
    })
    t.after(() => tokens.close())
    return tokens
  }

  commit(): Position {
    this.lsn += 10
    return { epoch: this.epoch, lsn: this.lsn }
  }
}

const lsnOf = (requirement: Requirement): number => {
  assert.equal(requirement.kind, 'position')
  return requirement.kind === 'position' ? requirement.position.lsn : Number.NaN
}

describe('a store that fell back to a copy', () => {
  test('covers the last write of a reader whose older token the copy has', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    const copy = openMemoryStore()
    const first = deployment.commit()
    await tokens.raise('ann', first)
    await copy.raiseToken('token:main:ann', first.epoch, first.lsn, 60_000)
    assert.ok(lsnOf(await tokens.require('ann')) >= first.lsn)
    const second = deployment.commit()
    await tokens.raise('ann', second)
    deployment.store = copy
    assert.ok(lsnOf(await tokens.require('ann')) >= second.lsn, 'the token that was lost')
    assert.ok(lsnOf(await deployment.process(t).require('ann')) >= second.lsn, 'in a process that knows nothing')
  })

  test('covers the write of a reader of whom the copy knows nothing', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    await tokens.require('ann')
    const write = deployment.commit()
    await tokens.raise('ann', write)
    deployment.store = openMemoryStore()
    assert.ok(lsnOf(await tokens.require('ann')) >= write.lsn)
    assert.ok(lsnOf(await tokens.require(null)) >= write.lsn)
  })

  test('is noticed also between the token and the answer', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    const write = deployment.commit()
    deployment.onTokenRead = () => {
      deployment.onTokenRead = null
      deployment.lsn += 1_000
      deployment.store = openMemoryStore()
    }
    await tokens.raise('ann', write)
    assert.ok(lsnOf(await tokens.require('ann')) >= write.lsn + 1_000)
  })
})

describe('a write whose position did not come', () => {
  test('sends its reader to the primary until it is healed', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    await tokens.raise('ann', null)
    const requirement = await tokens.require('ann')
    assert.ok(requirement.kind === 'primary' && requirement.seen !== null)
    const position = deployment.commit()
    await tokens.heal('ann', requirement.seen, position)
    assert.equal(lsnOf(await tokens.require('ann')), position.lsn)
  })

  test('is not wiped out where an earlier one is healed', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    await tokens.raise('ann', null)
    const requirement = await tokens.require('ann')
    const before = deployment.commit()
    await tokens.raise('ann', null)
    assert.ok(requirement.kind === 'primary' && requirement.seen !== null)
    await tokens.heal('ann', requirement.seen, before)
    assert.equal((await tokens.require('ann')).kind, 'primary')
  })

  test('is carried over to the reader of a login', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    await tokens.raise('visitor', null)
    assert.equal(await tokens.carry('visitor', 'ann'), true)
    assert.equal((await tokens.require('ann')).kind, 'primary')
  })
})

describe('a store that is away', () => {
  test('leaves the reader on the primary until it has taken the token', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    await tokens.require('ann')
    const write = deployment.commit()
    deployment.away = true
    assert.equal(await tokens.raise('ann', write), false)
    assert.equal((await tokens.require('ann')).kind, 'primary')
    deployment.away = false
    await until('the token is taken', async () => tokens.pendingReaders === 0)
    assert.equal(lsnOf(await deployment.process(t).require('ann')), write.lsn)
  })

  test('costs a script its replicas and caches no longer than that', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    const scope = new Scope({ level: 'session', reader: fixedReader('ann') })
    const write = deployment.commit()
    deployment.away = true
    await scope.wrote(tokens, write)
    assert.deepEqual([scope.settled, (await scope.require(tokens)).kind], [false, 'primary'])
    deployment.away = false
    await until('the token is taken', async () => tokens.pendingReaders === 0)
    assert.deepEqual([scope.pinned, lsnOf(await scope.require(tokens))], [false, write.lsn])
  })

  test('costs a reader without a name all of them: nothing waits for its token', async (t) => {
    const deployment = new Deployment()
    const tokens = deployment.process(t)
    const reader = { current: async () => null, ensure: () => Promise.reject(new Error('no name')) }
    const scope = new Scope({ level: 'session', reader })
    await scope.wrote(tokens, deployment.commit())
    assert.deepEqual([scope.settled, scope.pinned], [false, true])
  })

  test('means the primary, for readers of whom nothing is known too', async (t) => {
    const deployment = new Deployment()
    deployment.away = true
    const requirement = await deployment.process(t).require(null)
    assert.deepEqual(requirement, { kind: 'primary', why: 'store', seen: null })
  })
})

test('another epoch than the current means the primary', async (t) => {
  const deployment = new Deployment()
  const tokens = deployment.process(t)
  await tokens.raise('ann', deployment.commit())
  deployment.epoch = 'epoch-2'
  assert.equal((await tokens.require('ann')).kind, 'primary')
  assert.equal((await tokens.require('bob')).kind, 'position')
})
