/** Sessions on their way between the store that an app comes from and Fourfold's: nothing lost, nothing revived. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { FourfoldStore, MemoryStore, Session, type StoredSession } from '../../src/http/express.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Store as CentralStore } from '../../src/store/store.ts'
import { Gate } from '../support/express-app.ts'

const cookie = { originalMaxAge: null, expires: null, path: '/', httpOnly: true }

/** A store of others that can be made to wait, to fail, or to say nothing. */
class OldStore extends MemoryStore {
  before: ((operation: string) => Promise<void> | undefined) | null = null

  override get(id: string, found: (error?: any, session?: StoredSession | null) => void): void {
    this.#when('get', () => super.get(id, found), found)
  }

  override set(id: string, session: Session | StoredSession, done?: (error?: any) => void): void {
    const text = JSON.parse(JSON.stringify(session)) as StoredSession
    this.#when('set', () => super.set(id, text, done), done)
  }

  override destroy(id: string, done?: (error?: any) => void): void {
    this.#when('destroy', () => super.destroy(id, done), done)
  }

  #when(operation: string, work: () => void, failed?: (error: unknown) => void): void {
    const waits = this.before?.(operation)
    if (waits === undefined) work()
    else void waits.then(work, failed)
  }

  holds(id: string): StoredSession | null {
    const text = this.sessions[id]
    return text === undefined ? null : (JSON.parse(text) as StoredSession)
  }
}

interface Moving {
  readonly old: OldStore
  readonly central: CentralStore
  /** With the old store beside it. */
  readonly both: FourfoldStore
  /** Without. */
  readonly alone: FourfoldStore
}

function moving(t: TestContext): Moving {
  const central = openMemoryStore()
  t.after(() => central.close())
  const old = new OldStore()
  return {
    old,
    central,
    both: new FourfoldStore({ store: central, former: old, deadlineMs: 200 }),
    alone: new FourfoldStore({ store: central }),
  }
}

/** The session of a request, as the middleware would open it. */
async function open(store: FourfoldStore, id: string): Promise<Session | null> {
  const data = await read(store, id)
  return data === null ? null : store.createSession({ sessionID: id, sessionStore: store } as any, data)
}

function read(store: FourfoldStore, id: string): Promise<StoredSession | null> {
  return ask((done) => store.get(id, done))
}

const save = (session: Session): Promise<unknown> => ask((done) => void session.save(done))
const destroy = (store: FourfoldStore, id: string): Promise<unknown> => ask((done) => store.destroy(id, done))

function ask<T>(work: (done: (error?: any, value?: any) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    work((error, value) => (error ? reject(error as Error) : resolve((value ?? null) as T)))
  })
}

describe('a session of the old store', () => {
  it('is taken over with its data and its end, by both of two requests at once', async (t) => {
    const { old, both, alone } = moving(t)
    const expires = new Date(Date.now() + 60_000).toISOString()
    old.sessions['a'] = JSON.stringify({ cookie: { ...cookie, expires, originalMaxAge: 60_000 }, user: 'ann' })
    const [one, two] = await Promise.all([open(both, 'a'), open(both, 'a')])
    one!['cart'] = ['bread']
    two!['theme'] = 'dark'
    await Promise.all([save(one!), save(two!)])
    const { cookie: kept, ...data } = (await read(alone, 'a'))!
    assert.deepEqual(data, { user: 'ann', cart: ['bread'], theme: 'dark' })
    assert.equal(kept.originalMaxAge, 60_000)
  })

  it('is not taken over when it is over', async (t) => {
    const { old, both } = moving(t)
    const expires = new Date(Date.now() - 1000).toISOString()
    old.get = (_, found) => found(null, { cookie: { ...cookie, expires }, user: 'ann' })
    assert.equal(await read(both, 'a'), null)
  })

  it('is not revived by a request that had looked before the logout', async (t) => {
    const { old, both } = moving(t)
    old.sessions['a'] = JSON.stringify({ cookie, user: 'ann' })
    const gate = new Gate()
    const held = old.sessions['a']
    old.get = (id, found) => {
      // The old store has answered; the answer is on its way while the logout happens.
      void gate.pass().then(() => found(null, id === 'a' ? (JSON.parse(held) as StoredSession) : null))
    }
    const slow = read(both, 'a')
    await gate.arrived
    await destroy(both, 'a')
    gate.open()
    assert.equal(await slow, null)
    assert.equal(old.holds('a'), null)
    assert.equal(await read(both, 'a'), null)
  })
})

describe('the copy in the old store', () => {
  it('is of the last change, also where an earlier copy arrives later', async (t) => {
    const { old, both } = moving(t)
    await save(await begin(both, 'a'))
    const [one, two] = [(await open(both, 'a'))!, (await open(both, 'a'))!]
    one['first'] = 1
    two['second'] = 2
    const gate = new Gate()
    old.before = (operation) => (operation === 'set' ? gate.pass() : undefined)
    const slow = save(one)
    await gate.arrived
    old.before = null
    await save(two)
    assert.equal(old.holds('a')?.['second'], 2)
    gate.open()
    await slow
    const { cookie: _, ...copy } = old.holds('a')!
    assert.deepEqual(copy, { first: 1, second: 2 })
  })

  it('ends with the session, also where a copy was under way', async (t) => {
    const { old, both } = moving(t)
    await save(await begin(both, 'a'))
    const session = (await open(both, 'a'))!
    session['late'] = true
    const gate = new Gate()
    old.before = (operation) => (operation === 'set' ? gate.pass() : undefined)
    const saving = save(session)
    await gate.arrived
    await destroy(both, 'a')
    gate.open()
    await saving
    assert.equal(old.holds('a'), null)
  })

  it('is not taken over again after a logout that knew nothing of it', async (t) => {
    const { old, both, alone } = moving(t)
    await save(await begin(both, 'a'))
    await destroy(alone, 'a')
    assert.notEqual(old.holds('a'), null)
    assert.equal(await read(both, 'a'), null)
    assert.equal(old.holds('a'), null, 'an app that goes back further does not find it either')
  })

  it('is made of sessions that began without it, when they are used', async (t) => {
    const { old, both, alone } = moving(t)
    await save(await begin(alone, 'a'))
    const session = (await open(both, 'a'))!
    session['cart'] = 'bread'
    await save(session)
    assert.equal(old.holds('a')?.['cart'], 'bread')
  })
})

describe('an old store that fails', () => {
  it('fails a logout loudly, and what is left of the session is not taken over', async (t) => {
    const { old, both } = moving(t)
    await save(await begin(both, 'a'))
    old.before = (operation) => (operation === 'destroy' ? Promise.reject(new Error('planted')) : undefined)
    await assert.rejects(destroy(both, 'a'), /planted/)
    assert.equal(await read(both, 'a'), null)
  })

  it('fails no write, and holds nobody up for longer than its deadline', async (t) => {
    const { old, both, alone } = moving(t)
    old.before = () => new Promise(() => undefined)
    const began = performance.now()
    await save(await begin(both, 'a'))
    assert.ok(performance.now() - began < 2000)
    assert.notEqual(await read(alone, 'a'), null)
    await assert.rejects(read(both, 'unknown'), { code: 'FF_CORE_DEADLINE' })
  })
})

/** A new session, as the middleware would begin it. */
async function begin(store: FourfoldStore, id: string): Promise<Session> {
  const session = new Session({ sessionID: id, sessionStore: store } as any)
  Object.assign(session, { cookie: { ...cookie } })
  return session
}
