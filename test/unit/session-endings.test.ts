/** Sessions that end, or go on under another id: what the requests see that work with them meanwhile. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFourfoldError } from '../../src/core/errors.ts'
import { systemClock } from '../../src/core/clock.ts'
import { begin, cookieOf, failsWith, open } from '../support/counted-sessions.ts'

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
