/** Who reads, for a process that has none of the app's code. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { systemClock } from '../../src/core/clock.ts'
import { createCookieNames } from '../../src/sessions/client-cookies.ts'
import { ClientReaders } from '../../src/sessions/client-readers.ts'
import { signReader } from '../../src/sessions/presented-reader.ts'
import { createSessions, type Sessions } from '../../src/sessions/sessions.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'

const secrets = ['a secret of at least thirty-two characters']
const hourMs = 3_600_000

interface Ground {
  readonly sessions: Sessions
  readonly readers: ClientReaders
  readonly clock: { now(): number; ms: number }
}

function prepare(t: TestContext): Ground {
  const clock = { ...systemClock, ms: 1_000_000, now: () => clock.ms }
  const store = openMemoryStore()
  t.after(() => store.close())
  const limits = { idleMs: hourMs, absoluteMs: 24 * hourMs }
  const sessions = createSessions({ store, secrets, clock, ...limits })
  const readers = new ClientReaders({
    store,
    secrets,
    clock,
    cookieName: 'ff_session',
    ignoreCookies: ['_ga*'],
    ...limits,
  })
  return { sessions, readers, clock }
}

/** The cookie of a session that holds this user. */
async function signIn(sessions: Sessions, user: string): Promise<string> {
  const session = sessions.open(null)
  session.set('user', user)
  await session.save()
  return valueOf(session.cookieToSet())
}

function valueOf(cookie: string | null): string {
  return /^ff_session=([^;]+)/.exec(cookie ?? '')?.[1] ?? assert.fail('expected a cookie')
}

/** A request of this session in which the app's `identify` answers what it finds there. */
async function identify(sessions: Sessions, cookie: string): Promise<void> {
  const session = sessions.open(cookie)
  await session.noteIdentified(`user:${(await session.get('user')) as string}`)
  await session.close()
}

test('without identify the session names its reader, whatever other cookies there are', async (t) => {
  const { sessions, readers } = prepare(t)
  const cookie = await signIn(sessions, 'a')
  const reader = sessions.open(cookie).reader
  assert.equal(await readers.find({ cookie: `theme=dark; ff_session=${cookie}`, reader: undefined }, false), reader)
})

test('what identify said of a session counts until anything in that session changes', async (t) => {
  const { sessions, readers } = prepare(t)
  const cookie = await signIn(sessions, 'a')
  const find = async (): Promise<unknown> =>
    await readers.find({ cookie: `ff_session=${cookie}; _ga_x=1`, reader: undefined }, true)
  assert.equal(await find(), undefined)
  await identify(sessions, cookie)
  assert.equal(await find(), 'user:a')
  const change = sessions.open(cookie)
  change.set('user', 'b')
  await change.save()
  assert.equal(await find(), undefined)
  await identify(sessions, cookie)
  assert.equal(await find(), 'user:b')
  await sessions.open(cookie).update('visits', () => 1)
  assert.equal(await find(), undefined)
})

test('a request that read the session before it changed notes nothing, and neither does one that changed it', async (t) => {
  const { sessions, readers } = prepare(t)
  const cookie = await signIn(sessions, 'a')
  const slow = sessions.open(cookie)
  const before = await slow.get('user')
  const other = sessions.open(cookie)
  other.set('user', 'b')
  await other.noteIdentified('user:b')
  await other.save()
  await slow.noteIdentified(`user:${before as string}`)
  await slow.close()
  assert.equal(await readers.find({ cookie: `ff_session=${cookie}`, reader: undefined }, true), undefined)
})

test('what was made of changes that were never stored is not noted', async (t) => {
  const { sessions, readers } = prepare(t)
  const cookie = await signIn(sessions, 'a')
  const failing = sessions.open(cookie)
  await failing.get('user')
  failing.set('user', 'b')
  await failing.noteIdentified('user:b')
  assert.equal(await readers.find({ cookie: `ff_session=${cookie}`, reader: undefined }, true), undefined)
})

test('a session that moved, ended or is due for a touch is for a clone', async (t) => {
  const { sessions, readers, clock } = prepare(t)
  const cookie = await signIn(sessions, 'a')
  const find = async (value: string): Promise<unknown> =>
    await readers.find({ cookie: `ff_session=${value}`, reader: undefined }, true)
  await identify(sessions, cookie)
  clock.ms += 59_000
  assert.equal(await find(cookie), 'user:a')
  clock.ms += 2_000
  assert.equal(await find(cookie), undefined)
  await identify(sessions, cookie)
  assert.equal(await find(cookie), 'user:a')
  const moving = sessions.open(cookie)
  await moving.regenerate()
  await moving.close()
  assert.equal(await find(cookie), undefined)
  const next = valueOf(moving.cookieToSet())
  assert.equal(await find(next), undefined)
  await identify(sessions, next)
  assert.equal(await find(next), 'user:a')
  await sessions.open(next).destroy()
  assert.equal(await find(next), undefined)
})

test('two names for one reader, or none that was signed here, are for a clone', async (t) => {
  const { sessions, readers } = prepare(t)
  const [one, two] = [signReader(sessions.signer, 'one'), signReader(sessions.signer, 'two')]
  const cookie = await signIn(sessions, 'a')
  const cases: [string | undefined, string | undefined, string | null | undefined][] = [
    [undefined, undefined, null],
    ['theme=dark', undefined, null],
    [`ff_reader=${one}`, undefined, 'one'],
    [`__Host-ff_reader=${one}`, undefined, 'one'],
    [undefined, one, 'one'],
    [`ff_reader=${one}`, one, 'one'],
    [`ff_reader=${one}`, two, undefined],
    [`ff_reader=${one}; __Host-ff_reader=${one}`, undefined, undefined],
    [`ff_reader=${one}x`, undefined, undefined],
    [undefined, `${one}x`, undefined],
    [`ff_session=${cookie}; ff_reader=${one}`, undefined, undefined],
    [`ff_session=${cookie}x`, undefined, undefined],
    [`ff_pin=anything`, undefined, undefined],
  ]
  for (const [cookies, reader, expected] of cases) {
    assert.equal(await readers.find({ cookie: cookies, reader }, false), expected, `${cookies} ${reader}`)
  }
})

test('which cookies are ours, and which are to be ignored', () => {
  const names = createCookieNames('sid', ['theme', '_ga*'])
  const isForeign = (header: string): boolean => names.read(header).foreign
  for (const header of ['sid=1', '__Host-sid=1; ff_build=2', 'theme=x; _ga=1; _ga_2=3', '', ' ; ']) {
    assert.equal(isForeign(header), false, header)
  }
  for (const header of ['ff_session=1', 'sid', 'theme2=x', 'sid=1; token=2']) {
    assert.equal(isForeign(header), true, header)
  }
})
