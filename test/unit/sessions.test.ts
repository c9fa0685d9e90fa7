/** Sessions, against the embedded store's own state machine in this process. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { createSessions } from '../../src/sessions/sessions.ts'
import { begin, cookieOf, failsWith, open, openCounted, secret } from '../support/counted-sessions.ts'

describe('a session', () => {
  it('that nobody touches costs no call', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    store.calls.length = 0
    const session = sessions.open(cookie)
    await session.close()
    assert.equal(session.cookieToSet(), null)
    assert.deepEqual(store.calls, [])
  })

  it('that is new and empty is not stored and sets no cookie', async (t) => {
    const { store, sessions } = open(t)
    const session = sessions.open(null)
    assert.equal(await session.get('user'), undefined)
    session.unset('user')
    await session.close()
    assert.equal(session.cookieToSet(), null)
    assert.deepEqual(store.calls, [])
  })

  it('keeps what was set, and is read once', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions, { user: 7, cart: { items: ['a'] }, gone: 1 })
    store.calls.length = 0
    const session = sessions.open(cookie)
    assert.deepEqual(await Promise.all([session.get('user'), session.get('cart')]), [7, { items: ['a'] }])
    session.unset('gone')
    await session.close()
    assert.deepEqual(store.calls, ['read', 'update'])
    assert.equal(await sessions.open(cookie).get('gone'), undefined)
    assert.equal(session.cookieToSet(), null)
  })

  it('reads its own write, also where a read was under way', async (t) => {
    const { sessions } = open(t)
    const session = sessions.open(await begin(sessions))
    const early = session.get('user')
    session.set('user', 8)
    await session.save()
    await early
    assert.equal(await session.get('user'), 8)
  })

  it('hands out copies', async (t) => {
    const { sessions } = open(t)
    const session = sessions.open(await begin(sessions, { cart: { items: ['a'] } }))
    const cart = await session.get<{ items: string[] }>('cart')
    cart?.items.push('b')
    assert.deepEqual(await session.get('cart'), { items: ['a'] })
  })

  it('writes only what changed: two requests with different keys both keep theirs', async (t) => {
    const { sessions } = open(t)
    const cookie = await begin(sessions, { a: 0, b: 0 })
    const [one, two] = [sessions.open(cookie), sessions.open(cookie)]
    await Promise.all([one.get('a'), two.get('b')])
    one.set('a', 1)
    two.set('b', 2)
    await Promise.all([one.save(), two.save()])
    const after = sessions.open(cookie)
    assert.deepEqual([await after.get('a'), await after.get('b')], [1, 2])
  })

  it('refuses what JSON cannot hold', async (t) => {
    const { sessions } = open(t)
    const session = sessions.open(null)
    for (const value of [undefined, () => 1, 1n, Symbol('x')]) {
      assert.throws(() => session.set('key', value), failsWith('FF_SESSION_VALUE'))
    }
    assert.throws(() => session.set('', 1), failsWith('FF_SESSION_VALUE'))
  })

  it('keeps keys such as __proto__ as plain data', async (t) => {
    const { sessions } = open(t)
    const session = sessions.open(await begin(sessions, JSON.parse('{"__proto__": 1, "constructor": 2}')))
    assert.deepEqual([await session.get('__proto__'), await session.get('constructor')], [1, 2])
  })

  it('refuses a change after its answer went out, but lets update() write', async (t) => {
    const { sessions } = open(t)
    const cookie = await begin(sessions)
    const session = sessions.open(cookie)
    await session.close()
    assert.throws(() => session.set('user', 8), failsWith('FF_SESSION_LATE'))
    await session.update('user', () => 9)
    assert.equal(await sessions.open(cookie).get('user'), 9)
    const fresh = sessions.open(null)
    await fresh.close()
    await assert.rejects(
      fresh.update('user', () => 9),
      failsWith('FF_SESSION_LATE'),
    )
  })
})

describe('session.update', () => {
  it('loses none of 200 parallel increments', async (t) => {
    const { sessions } = open(t)
    const cookie = await begin(sessions, { count: 0 })
    const add = (count: number | undefined): number => (count ?? 0) + 1
    await Promise.all(Array.from({ length: 200 }, () => sessions.open(cookie).update('count', add)))
    assert.equal(await sessions.open(cookie).get('count'), 200)
  })

  it('begins a session where there is none, and takes a key away for undefined', async (t) => {
    const { sessions } = open(t)
    const session = sessions.open(null)
    assert.equal(await session.update<number>('count', (count = 0) => count + 1), 1)
    const cookie = cookieOf(session)
    await sessions.open(cookie).update('count', () => undefined)
    assert.equal(await sessions.open(cookie).get('count'), undefined)
  })

  it('sees what this request has set before', async (t) => {
    const { sessions } = open(t)
    const session = sessions.open(await begin(sessions, { count: 1 }))
    session.set('count', 10)
    assert.equal(await session.update<number>('count', (count = 0) => count + 1), 11)
    assert.equal(session.changed, false)
  })
})

describe('the limits', () => {
  it('put the idle limit off at most once a minute', async (t) => {
    let now = Date.now()
    const { store, sessions } = open(t, { clock: { ...systemClock, now: () => now } })
    const cookie = await begin(sessions)
    const use = async (): Promise<string[]> => {
      store.calls.length = 0
      const session = sessions.open(cookie)
      await session.get('user')
      await session.close()
      return store.calls
    }
    assert.deepEqual(await use(), ['read'])
    now += 61_000
    assert.deepEqual(await use(), ['read', 'update'])
    assert.deepEqual(await use(), ['read'])
  })

  it('end a session that nobody used', async (t) => {
    const { sessions } = open(t, { idleMs: 30 })
    const cookie = await begin(sessions)
    const { until } = await import('../../src/testing/until.ts')
    await until('it is over', async () => (await sessions.open(cookie).get('user')) === undefined)
  })

  it('end a session at its age, without asking the store', async (t) => {
    let now = Date.now()
    const { store, sessions } = open(t, { absoluteMs: 5000, clock: { ...systemClock, now: () => now } })
    const cookie = await begin(sessions)
    now += 5001
    store.calls.length = 0
    assert.equal(await sessions.open(cookie).get('user'), undefined)
    assert.deepEqual(store.calls, [])
  })
})

describe('the cookie', () => {
  it('is HttpOnly and SameSite=Lax, and __Host- and Secure over TLS only', async (t) => {
    const { sessions } = open(t)
    const header = async (secure: boolean): Promise<string | null> => {
      const session = sessions.open(null, { secure })
      session.set('user', 7)
      await session.close()
      return session.cookieToSet()
    }
    assert.match((await header(false)) ?? '', /^ff_session=[\w.-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/)
    assert.match(
      (await header(true)) ?? '',
      /^__Host-ff_session=[\w.-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure$/,
    )
    assert.equal(sessions.cookieName(true), '__Host-ff_session')
  })

  it('holds 256 bits, and the store never sees them', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const id = cookie.split('.')[0] ?? ''
    assert.equal(Buffer.from(id, 'base64url').length, 32)
    const [key] = await store.list('session:')
    const fields = await store.read(key ?? '')
    assert.ok(!`${key} ${JSON.stringify(fields)}`.includes(id))
  })

  it('counts as none when it was changed, cut, or signed by nobody here', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const flipped = (cookie.startsWith('A') ? 'B' : 'A') + cookie.slice(1)
    const other = createSessions({ store, secrets: ['another secret of thirty-two characters'] })
    const reader = sessions.signer.sign('reader', cookie.slice(0, cookie.lastIndexOf('.')))
    store.calls.length = 0
    for (const bad of [
      flipped,
      cookie.slice(0, -1),
      cookie.slice(0, 50),
      '',
      '.',
      'x'.repeat(10_000),
      await begin(other),
      reader,
    ]) {
      assert.equal(await sessions.open(bad).get('user'), undefined, bad)
    }
    assert.ok(!store.calls.includes('read'))
  })

  it('is verified by every secret and signed anew by the first', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const rotated = createSessions({ store, secrets: ['the next secret of thirty-two characters', secret] })
    const session = rotated.open(cookie)
    assert.equal(await session.get('user'), 7)
    assert.notEqual(cookieOf(session), cookie)
    const later = createSessions({ store, secrets: ['the next secret of thirty-two characters'] })
    assert.equal(await later.open(cookieOf(session)).get('user'), 7)
    assert.equal(later.open(cookie).reader, null)
  })

  it('needs secrets that cannot be guessed', (t) => {
    const store = openCounted(t)
    assert.throws(() => createSessions({ store, secrets: [] }), failsWith('FF_SESSION_SECRETS_MISSING'))
    assert.throws(() => createSessions({ store, secrets: [secret, 'short'] }), failsWith('FF_SESSION_SECRETS_WEAK'))
  })
})

describe('a store that is down', () => {
  it('fails reads and saves, and is asked once per request', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    store.calls.length = 0
    store.down = true
    const session = sessions.open(cookie)
    await assert.rejects(session.get('user'), failsWith('FF_STORE_UNAVAILABLE'))
    await assert.rejects(session.get('user'), failsWith('FF_STORE_UNAVAILABLE'))
    session.set('user', 8)
    await assert.rejects(session.close(), failsWith('FF_STORE_UNAVAILABLE'))
    await session.close()
    assert.deepEqual(store.calls, ['read'])
  })

  it('does not fail an answer that tells of the failure already', async (t) => {
    const { store, sessions } = open(t)
    const session = sessions.open(await begin(sessions))
    store.down = true
    session.set('user', 8)
    await assert.rejects(session.save(), failsWith('FF_STORE_UNAVAILABLE'))
    await session.close({ failing: true })
    assert.throws(() => session.set('user', 8), failsWith('FF_SESSION_LATE'))
  })

  it('fails a logout loudly: the session is still alive', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const session = sessions.open(cookie)
    store.down = true
    await assert.rejects(session.destroy(), failsWith('FF_STORE_UNAVAILABLE'))
    assert.equal(session.cookieToSet(), null)
    store.down = false
    assert.equal(await sessions.open(cookie).get('user'), 7)
  })

  it('fails no request whose idle limit could not be put off', async (t) => {
    let now = Date.now()
    const { store, sessions } = open(t, { clock: { ...systemClock, now: () => now } })
    const session = sessions.open(await begin(sessions))
    await session.get('user')
    now += 61_000
    store.down = true
    await session.close()
  })
})
