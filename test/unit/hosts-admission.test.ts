/** The admission of several hosts, with real followers on a store that is lost and cut off: no two balancers ever act on two. */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { suite, test, type TestContext } from 'node:test'

import type { AdmissionMemory, VersionedAdmission } from '../../src/clones/hosts/admission-record.ts'
import { isLater, readAdmission, writeAdmission } from '../../src/clones/hosts/admission-record.ts'
import { balancerGroup, cloneGroup, encodeEntry } from '../../src/clones/hosts/entries.ts'
import { followHosts, type Follower } from '../../src/clones/hosts/follower.ts'
import { moveAdmission } from '../../src/clones/hosts/move-admission.ts'
import { rollOutHosts } from '../../src/clones/hosts/rollout-hosts.ts'
import { FourfoldError } from '../../src/core/errors.ts'
import { silentLogger, type Logger } from '../../src/core/log.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Admission } from '../../src/clones/protocol.ts'
import type { Store } from '../../src/store/store.ts'
import { waitFor } from '../support/wait-for.ts'

const keys = ['00'.repeat(32)]

function memory(): AdmissionMemory {
  let known: VersionedAdmission | null = null
  return { read: () => known, write: (next) => void (known = next) }
}

/** Hosts in one process: a store that can be lost, and balancers that can be cut off from it. */
class Hosts {
  #store = openMemoryStore()
  readonly #cut = new Set<string>()
  readonly #acting = new Map<string, Admission>()
  readonly #followers: Follower[] = []
  /** How often a balancer was told something. */
  versions = 0
  /** Moments in which two balancers acted on two admissions. */
  readonly overlaps: string[] = []

  /** The store as one host sees it. */
  storeOf(host: string): Store {
    return new Proxy({} as Store, {
      get: (_target, name: keyof Store) => {
        if (name === 'driver') return 'memory'
        return async (...args: unknown[]) => {
          // Every call takes a while, on its way there and back.
          await delay(Math.random() * 4)
          if (this.#cut.has(host)) throw new FourfoldError('FF_STORE_DEADLINE', 'cut off')
          const result = await (this.#store[name] as (...args: unknown[]) => unknown)(...args)
          await delay(Math.random() * 4)
          if (this.#cut.has(host)) throw new FourfoldError('FF_STORE_DEADLINE', 'cut off')
          return result
        }
      },
    })
  }

  start(id: string, kept: AdmissionMemory = memory(), log: Logger = silentLogger): Follower {
    const balancer = {
      setUpstreams: (_upstreams: unknown, admission: Admission) => this.#act(id, admission),
      drain: async () => 0,
      counts: () => ({}),
    }
    const follower = followHosts({
      store: this.storeOf(id),
      balancer,
      id,
      host: id,
      keys,
      log,
      memory: kept,
      ttlMs: 600,
    })
    this.#followers.push(follower)
    return follower
  }

  cut(id: string): void {
    this.#cut.add(id)
  }

  mend(id: string): void {
    this.#cut.delete(id)
  }

  /** The store forgets everything. */
  lose(): void {
    this.#store = openMemoryStore()
  }

  acting(id: string): Admission | undefined {
    return this.#acting.get(id)
  }

  async register(id: string, buildId: string): Promise<void> {
    const address = { host: '127.0.0.1', port: 1 }
    const value = encodeEntry({ address, buildId, host: 'web', state: 'serving', graceMs: 1000 })
    await this.#store.register(cloneGroup, id, value, 60_000)
  }

  async close(): Promise<void> {
    this.#cut.clear()
    await Promise.all(this.#followers.map((follower) => follower.stop()))
  }

  #act(id: string, admission: Admission): void {
    this.versions += 1
    this.#acting.set(id, admission)
    const acting = [...this.#acting.values()].filter(({ halt }) => halt !== true)
    const kinds = new Set(acting.map(({ current, next, share }) => JSON.stringify([current, next, share])))
    if (kinds.size > 1) this.overlaps.push([...kinds].join(' beside '))
  }
}

async function start(t: TestContext, balancers: readonly string[]): Promise<Hosts> {
  const hosts = new Hosts()
  t.after(() => hosts.close())
  const admission = { current: { id: 'one', ordinal: 1 }, share: 0 }
  await writeAdmission(hosts.storeOf('operator'), null, { version: 1, admission })
  for (const id of balancers) hosts.start(id)
  await waitFor('all to follow', () => balancers.every((id) => hosts.acting(id)?.current.id === 'one'))
  return hosts
}

/** Waits until a balancer is no longer heard of. */
async function expired(store: Store, id: string): Promise<void> {
  await waitFor(`${id} to expire`, async () => {
    const view = await store.readRegistry(balancerGroup)
    return view?.entries.every((entry) => entry.id !== id)
  })
}

const to =
  (id: string) =>
  (from: Admission): Admission => ({ current: { id, ordinal: from.current.ordinal + 1 }, share: 0 })

// At once: each waits most of its time, for what lives for some seconds.
suite('the admission of several hosts', { concurrency: true }, () => {
  test('builds follow one another with no two balancers on two of them at any moment', async (t) => {
    const hosts = await start(t, ['a', 'b', 'c'])
    const operator = hosts.storeOf('operator')
    for (const id of ['two', 'three', 'four', 'five', 'six']) {
      await moveAdmission(operator, to(id))
      await waitFor(`all to follow ${id}`, () => ['a', 'b', 'c'].every((host) => hosts.acting(host)?.current.id === id))
    }
    assert.deepEqual(hosts.overlaps, [])
  })

  test('a balancer that is cut off holds a change back, and goes on with the build that it knows', async (t) => {
    const hosts = await start(t, ['a', 'b'])
    const operator = hosts.storeOf('operator')
    hosts.cut('b')
    await expired(operator, 'b')
    await assert.rejects(moveAdmission(operator, to('two'), { haltWithinMs: 300 }), {
      code: 'FF_ROLLOUT_FAILED',
      fields: { balancers: ['b'] },
    })
    assert.equal(hosts.acting('b')?.current.id, 'one')
    await waitFor('the other to go on', () => hosts.acting('a')?.halt !== true)
    assert.equal(hosts.acting('a')?.current.id, 'one')
    hosts.mend('b')
    await waitFor('it to be heard of', async () => {
      await moveAdmission(operator, to('two'), { haltWithinMs: 500 }).catch(() => undefined)
      return hosts.acting('b')?.current.id === 'two'
    })
    assert.deepEqual(hosts.overlaps, [])
  })

  test('a balancer that is switched off is waited for until it is named', async (t) => {
    const hosts = await start(t, ['a', 'b'])
    const operator = hosts.storeOf('operator')
    await hosts.register('web/clone-1', 'two')
    const checked: string[] = []
    const check = async ({ id }: { id: string }): Promise<void> => void checked.push(id)
    const rollout = { check, build: 'tw', shares: [1], holdMs: 0, tolerance: { maxErrorRate: 0.1, leastRequests: 10 } }
    const { signal } = new AbortController()
    hosts.cut('b')
    await expired(operator, 'b')
    await assert.rejects(
      rollOutHosts(operator, { ...rollout, without: [] }, () => undefined, signal),
      /b did not answer/,
    )
    await rollOutHosts(operator, { ...rollout, without: ['b'] }, () => undefined, signal)
    await waitFor('the living one to follow', () => hosts.acting('a')?.current.id === 'two')
    assert.deepEqual(checked, ['web/clone-1', 'web/clone-1'])
  })

  test('a store that lost everything gets the admission back, and a change after it overlaps with nothing', async (t) => {
    const hosts = await start(t, ['a', 'b', 'c'])
    const operator = hosts.storeOf('operator')
    await moveAdmission(operator, to('two'))
    await waitFor('all to follow', () => ['a', 'b', 'c'].every((host) => hosts.acting(host)?.current.id === 'two'))
    hosts.lose()
    // Clones of whatever build are back before the balancers are.
    await hosts.register('web/clone-9', 'another')
    await waitFor('the record', async () => (await readAdmission(operator))?.admission.current.id === 'two')
    await waitFor(
      'every balancer to be registered',
      async () => (await operator.readRegistry(balancerGroup))?.entries.length === 3,
    )
    await moveAdmission(operator, to('three'))
    await waitFor('all to follow', () => ['a', 'b', 'c'].every((host) => hosts.acting(host)?.current.id === 'three'))
    assert.deepEqual(hosts.overlaps, [])
  })

  test('a halt whose author died is ended by the balancers, and lets nothing in', async (t) => {
    const hosts = await start(t, ['a', 'b'])
    const operator = hosts.storeOf('operator')
    const record = await readAdmission(operator)
    assert.ok(record !== null)
    const halted = await writeAdmission(operator, record, {
      version: record.version + 1,
      admission: { ...record.admission, halt: true },
    })
    await waitFor('both to halt', () => ['a', 'b'].every((host) => hosts.acting(host)?.halt === true))
    await waitFor('both to go on', () => ['a', 'b'].every((host) => hosts.acting(host)?.halt !== true))
    assert.equal(hosts.acting('a')?.current.id, 'one')
    // Whoever wakes up now and wants to bring it to its end comes too late.
    const late = { version: (halted?.version ?? 0) + 1, admission: { current: { id: 'two', ordinal: 2 }, share: 0 } }
    assert.equal(await writeAdmission(operator, halted, late), null)
    assert.deepEqual(hosts.overlaps, [])
  })

  test('a balancer that was restarted does not follow an older admission than before', async (t) => {
    const hosts = await start(t, ['a'])
    const kept = memory()
    kept.write({ version: 9, admission: { current: { id: 'nine', ordinal: 9 }, share: 0 } })
    hosts.start('b', kept)
    await waitFor('the record to be brought up', () => hosts.acting('a')?.current.id === 'nine')
    assert.equal(hosts.acting('b')?.current.id, 'nine')
  })

  test('a disc that is full keeps no balancer from following', async (t) => {
    const hosts = await start(t, ['a'])
    const said: string[] = []
    const log = { ...silentLogger, error: (_fields: object, message: string) => void said.push(message) }
    const full = (): never => {
      throw new Error('ENOSPC')
    }
    hosts.start('b', { read: () => null, write: full }, log)
    await waitFor('it to follow', () => hosts.acting('b')?.current.id === 'one')
    assert.equal(said.length, 1)
  })

  test('the first admission is that of the only build there is; of several, none', async (t) => {
    const hosts = new Hosts()
    t.after(() => hosts.close())
    await hosts.register('web/clone-1', 'one')
    await hosts.register('web/clone-2', 'two')
    const said: string[] = []
    hosts.start('a', memory(), { ...silentLogger, warn: (_fields, message) => void said.push(message) })
    await waitFor('it to say so', () => said.some((message) => message.includes('clones of several')))
    assert.equal(hosts.acting('a')?.halt, true)
    assert.equal(await readAdmission(hosts.storeOf('operator')), null)
    hosts.lose()
    await hosts.register('web/clone-1', 'one')
    await waitFor('it to be admitted', () => hosts.acting('a')?.current.id === 'one')
  })

  test('of two admissions the greater version is followed, and of one version the greater ordinals', () => {
    const at = (version: number, ordinal: number): VersionedAdmission => ({
      version,
      admission: { current: { id: 'x', ordinal }, share: 0 },
    })
    assert.ok(isLater(at(2, 1), at(1, 9)))
    assert.ok(isLater(at(2, 3), at(2, 1)))
    assert.ok(!isLater(at(2, 1), at(2, 1)))
    assert.ok(!isLater(at(1, 9), at(2, 1)))
    assert.ok(isLater(at(1, 1), null))
  })

  test('a share of readers that was moved never gets smaller, whoever goes on', async (t) => {
    const hosts = await start(t, ['a'])
    const operator = hosts.storeOf('operator')
    await hosts.register('web/clone-1', 'two')
    const tolerance = { maxErrorRate: 0.1, leastRequests: 10 }
    const rollout = { build: 'two', without: [], tolerance, check: async () => undefined }
    const stop = new AbortController()
    // A command that was killed half-way: nobody has taken its readers back.
    await moveAdmission(operator, (from) => ({ current: from.current, next: { id: 'two', ordinal: 2 }, share: 0.5 }))
    const shares: number[] = []
    const again = rollOutHosts(operator, { ...rollout, shares: [0.1, 1], holdMs: 60_000 }, () => undefined, stop.signal)
    const ended = assert.rejects(again, { message: 'called off' })
    await waitFor('it to go on', () => {
      const { share, halt } = hosts.acting('a') ?? { share: 0 }
      if (halt !== true) shares.push(share)
      return shares.at(-1) === 0.5 && hosts.versions > 4
    })
    stop.abort(new Error('called off'))
    await ended
    await waitFor('everybody to be taken back', () => hosts.acting('a')?.current.ordinal === 3)
    assert.ok(!shares.includes(0.1))
  })
})
