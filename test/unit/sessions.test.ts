/** Sessions, against the embedded store's own state machine in this process. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { isFourfoldError, FourfoldError, type ErrorCode } from '../../src/core/errors.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createSessions, type Sessions, type SessionsOptions } from '../../src/sessions/sessions.ts'
import type { Session } from '../../src/sessions/session.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Store } from '../../src/store/store.ts'

const secret = 'a secret of at least thirty-two characters'

interface Counted extends Store {
  calls: string[]
  down: boolean
}

/** The store, with its calls written down, and a switch that makes it fail. */
function openCounted(t: TestContext): Counted {
  const store = openMemoryStore()
  t.after(() => store.close())
  const counted = { calls: [] as string[], down: false }
  return new Proxy(counted as Counted, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name)
      const member = Reflect.get(store, name)
      if (typeof member !== 'function') return member
      return (...values: unknown[]) => {
        target.calls.push(String(name))
        if (target.down) return Promise.reject(new FourfoldError('FF_STORE_UNAVAILABLE', 'planted'))
        return member.apply(store, values)
      }
    },
  })
}

function open(t: TestContext, options: Partial<SessionsOptions> = {}): { store: Counted; sessions: Sessions } {
  const store = openCounted(t)
  return { store, sessions: createSessions({ store, secrets: [secret], ...options }) }
}

function cookieOf(session: Session): string {
  const header = session.cookieToSet()
  assert.ok(header !== null, 'expected a cookie')
  return header.slice(header.indexOf('=') + 1, header.indexOf(';'))
}

async function begin(sessions: Sessions, values: Record<string, unknown> = { user: 7 }): Promise<string> {
  const session = sessions.open(null)
  for (const [key, value] of Object.entries(values)) session.set(key, value)
  await session.save()
  return cookieOf(session)
}

function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => isFourfoldError(error, code)
}

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

describe('a session that ended', () => {
  it('is never revived by a request that was under way', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const late = sessions.open(cookie)
    assert.equal(await late.get('user'), 7)
    const logout = sessions.open(cookie)
    await logout.destroy()
    assert.match(logout.cookieToSet() ?? '', /Max-Age=0/)
    late.set('user', 8)
    await assert.rejects(late.save(), failsWith('FF_SESSION_GONE'))
    await late.close()
    assert.equal(late.cookieToSet(), null)
    assert.equal(await sessions.open(cookie).get('user'), undefined)
    assert.deepEqual(await store.list('session:'), [])
  })

  it('is seen as ended by update and regenerate', async (t) => {
    const { sessions } = open(t)
    for (const step of ['update', 'regenerate'] as const) {
      const cookie = await begin(sessions)
      const late = sessions.open(cookie)
      await late.get('user')
      await sessions.open(cookie).destroy()
      const work = step === 'update' ? late.update('user', () => 8) : late.regenerate()
      await assert.rejects(work, failsWith('FF_SESSION_GONE'))
    }
  })

  it('is replaced by a new one for a client that comes back and sets something', async (t) => {
    const { sessions } = open(t)
    const cookie = await begin(sessions)
    await sessions.open(cookie).destroy()
    const later = sessions.open(cookie)
    later.set('theme', 'dark')
    await later.close()
    assert.notEqual(cookieOf(later), cookie)
    assert.equal(await sessions.open(cookie).get('theme'), undefined)
    const next = sessions.open(cookieOf(later))
    assert.deepEqual([await next.get('theme'), await next.get('user')], ['dark', undefined])
  })

  it('can begin anew in the same answer, with another id and without the old data', async (t) => {
    const { sessions } = open(t)
    const cookie = await begin(sessions)
    const session = sessions.open(cookie)
    session.set('user', 8)
    await session.destroy()
    session.set('flash', 'bye')
    await session.close()
    const next = sessions.open(cookieOf(session))
    assert.notEqual(cookieOf(session), cookie)
    assert.deepEqual([await next.get('flash'), await next.get('user')], ['bye', undefined])
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

describe('session.regenerate', () => {
  it('gives a new id with the data and the reader, and the old id is worthless', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const session = sessions.open(cookie)
    const { reader } = session
    session.set('role', 'admin')
    await session.regenerate()
    await session.close()
    const next = cookieOf(session)
    assert.notEqual(next, cookie)
    assert.equal(sessions.open(next).reader, reader)
    assert.deepEqual([await sessions.open(next).get('user'), await sessions.open(next).get('role')], [7, 'admin'])
    assert.equal(await sessions.open(cookie).get('user'), undefined)
    const kept = await Promise.all((await store.list('session:')).map((key) => store.read(key)))
    assert.equal(kept.filter((fields) => fields?.['d:user'] !== undefined).length, 1)
  })

  it('loses no write that another request was told of', async (t) => {
    const { sessions } = open(t)
    for (let round = 0; round < 20; round++) {
      const cookie = await begin(sessions)
      const mover = sessions.open(cookie)
      await mover.get('user')
      const writes = Array.from({ length: 5 }, async (_, index) => {
        const writer = sessions.open(cookie)
        writer.set(`key${index}`, index)
        return writer.save().then(
          () => index,
          () => null,
        )
      })
      const [done] = await Promise.all([Promise.all(writes), mover.regenerate()])
      const next = sessions.open(cookieOf(mover))
      for (const index of done) if (index !== null) assert.equal(await next.get(`key${index}`), index)
    }
  })

  it('makes a late writer on the old id fail, and sets no cookie over the new one', async (t) => {
    const { sessions } = open(t)
    const cookie = await begin(sessions)
    const mover = sessions.open(cookie)
    await mover.regenerate()
    const late = sessions.open(cookie)
    late.set('theme', 'dark')
    await assert.rejects(late.save(), failsWith('FF_SESSION_GONE'))
    assert.equal(late.cookieToSet(), null)
  })

  it('cannot outrun a logout that still names the old id', async (t) => {
    const { store, sessions } = open(t)
    const cookie = await begin(sessions)
    const mover = sessions.open(cookie)
    await mover.regenerate()
    const again = sessions.open(cookieOf(mover))
    await again.regenerate()
    await sessions.open(cookie).destroy()
    assert.equal(await sessions.open(cookieOf(again)).get('user'), undefined)
    assert.deepEqual(await store.list('session:'), [])
  })

  it('and a logout at the same time leave no session alive', async (t) => {
    const { store, sessions } = open(t)
    for (let round = 0; round < 30; round++) {
      const cookie = await begin(sessions)
      const mover = sessions.open(cookie)
      const [moved] = await Promise.allSettled([mover.regenerate(), sessions.open(cookie).destroy()])
      if (moved.status === 'rejected') assert.ok(isFourfoldError(moved.reason, 'FF_SESSION_GONE'))
      assert.deepEqual(await store.list('session:'), [])
    }
  })

  it('keeps the time the session began unless it is told to renew it', async (t) => {
    let now = Date.now()
    const { sessions } = open(t, { absoluteMs: 1000, clock: { ...systemClock, now: () => now } })
    const [kept, renewed] = [sessions.open(await begin(sessions)), sessions.open(await begin(sessions))]
    now += 600
    await kept.regenerate()
    await renewed.regenerate({ renew: true })
    now += 600
    assert.equal(await sessions.open(cookieOf(kept)).get('user'), undefined)
    assert.equal(await sessions.open(cookieOf(renewed)).get('user'), 7)
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
