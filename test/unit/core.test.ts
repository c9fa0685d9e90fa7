import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { formatBytes, parseBytes } from '../../src/core/bytes.ts'
import { systemClock } from '../../src/core/clock.ts'
import { withDeadline } from '../../src/core/deadline.ts'
import { formatDuration, parseDuration } from '../../src/core/duration.ts'
import { isFourfoldError } from '../../src/core/errors.ts'
import { createLifecycle, stopOnSignals } from '../../src/core/lifecycle.ts'
import { createLogger, silentLogger } from '../../src/core/log.ts'
import { redactUrl } from '../../src/core/redact-url.ts'

describe('durations and sizes', () => {
  it('reads every unit and compounds', () => {
    assert.deepEqual(
      ['250ms', '30s', '1m', '2h', '7d', '1h30m', '1.5s', 42].map((text) => parseDuration(text)),
      [250, 30_000, 60_000, 7_200_000, 604_800_000, 5_400_000, 1500, 42],
    )
    assert.deepEqual(
      ['8MiB', '512KiB', '1GB', '7B', 9].map((text) => parseBytes(text)),
      [8_388_608, 524_288, 1e9, 7, 9],
    )
  })

  it('refuses what is neither, with its path', () => {
    for (const wrong of ['', '30', 's', '-1s', '1s x', Number.NaN, -1, null, {}]) {
      assert.throws(
        () => parseDuration(wrong as string, 'a.b'),
        (error) => isFourfoldError(error, 'FF_CORE_DURATION') && error.message.startsWith('a.b: '),
      )
      assert.throws(() => parseBytes(wrong as string), { code: 'FF_CORE_BYTES' })
    }
  })

  it('what is formatted reads back as the same number', () => {
    fc.assert(fc.property(fc.nat(), (n) => parseDuration(formatDuration(n)) === n && parseBytes(formatBytes(n)) === n))
  })
})

describe('deadlines', () => {
  it('work that is in time is passed through, result or failure', async () => {
    assert.equal(await withDeadline(Promise.resolve(7), 1000, 'seven'), 7)
    await assert.rejects(withDeadline(Promise.reject(new Error('own')), 1000, 'x'), /own/)
  })

  it('work that is late is given up and its signal aborted', async () => {
    let signal: AbortSignal | undefined
    const never = (given: AbortSignal): Promise<never> => {
      signal = given
      return new Promise(() => undefined)
    }
    await assert.rejects(withDeadline(never, 5, 'the store'), {
      code: 'FF_CORE_DEADLINE',
      message: /waited 5 ms for the store/,
    })
    assert.equal(signal?.aborted, true)
  })

  it('a sleep ends early when it is aborted', async () => {
    const controller = new AbortController()
    const sleeping = systemClock.sleep(60_000, controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(sleeping, /enough/)
  })
})

describe('lifecycle', () => {
  it('starts in the order of need and stops in reverse, once', async () => {
    const events: string[] = []
    const lifecycle = createLifecycle({ log: silentLogger })
    const part = (name: string, after: string[]): void =>
      lifecycle.add(name, {
        after,
        start: () => void events.push(`+${name}`),
        stop: () => void events.push(`-${name}`),
      })
    part('clone', ['store', 'database'])
    part('database', [])
    part('store', ['database'])
    await lifecycle.start()
    await Promise.all([lifecycle.stop(), lifecycle.stop()])
    assert.deepEqual(events, ['+database', '+store', '+clone', '-clone', '-store', '-database'])
  })

  it('a part that fails to start stops those before it, and start rejects', async () => {
    const events: string[] = []
    const lifecycle = createLifecycle({ log: silentLogger })
    lifecycle.add('a', { stop: () => void events.push('-a') })
    lifecycle.add('b', { after: ['a'], start: () => Promise.reject(new Error('no b')) })
    lifecycle.add('c', { after: ['b'], start: () => void events.push('+c') })
    await assert.rejects(lifecycle.start(), /no b/)
    assert.deepEqual(events, ['-a'])
  })

  it('a part that hangs or fails while stopping does not keep the others running', async () => {
    const events: string[] = []
    const lifecycle = createLifecycle({ log: silentLogger, stopDeadlineMs: 5 })
    lifecycle.add('a', { stop: () => void events.push('-a') })
    lifecycle.add('b', { after: ['a'], stop: () => new Promise<void>(() => undefined) })
    lifecycle.add('c', { after: ['b'], stop: () => Promise.reject(new Error('no')) })
    await lifecycle.start()
    await lifecycle.stop()
    assert.deepEqual(events, ['-a'])
  })

  it('circles, unknown parts, names used twice and late parts are errors', async () => {
    const circle = createLifecycle({ log: silentLogger })
    circle.add('a', { after: ['b'] })
    circle.add('b', { after: ['a'] })
    await assert.rejects(circle.start(), { code: 'FF_CORE_LIFECYCLE', message: /a → b → a/ })
    assert.throws(() => circle.add('late', {}), { code: 'FF_CORE_LIFECYCLE' })
    const unknown = createLifecycle({ log: silentLogger })
    unknown.add('a', { after: ['x'] })
    assert.throws(() => unknown.add('a', {}), { code: 'FF_CORE_LIFECYCLE' })
    await assert.rejects(unknown.start(), { code: 'FF_CORE_LIFECYCLE' })
  })

  /** Handlers whose stop never ends, and the codes they exit with. */
  function hearSignals(t: TestContext, sameWithinMs: number): number[] {
    const exits: number[] = []
    const stop = (): Promise<void> => new Promise(() => undefined)
    t.after(stopOnSignals({ log: silentLogger, stop, exit: (code) => exits.push(code), sameWithinMs }))
    return exits
  }

  it('the second signal exits at once', (t) => {
    const exits = hearSignals(t, 0)
    process.emit('SIGINT')
    assert.deepEqual(exits, [])
    process.emit('SIGINT')
    assert.deepEqual(exits, [130])
  })

  it('one Ctrl-C that comes twice, or a terminal that hangs up twice, is one', (t) => {
    const exits = hearSignals(t, 60_000)
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) process.emit(signal, signal)
    assert.deepEqual(exits, [])
    const later = hearSignals(t, 0)
    for (const signal of ['SIGHUP', 'SIGHUP'] as const) process.emit(signal, signal)
    assert.deepEqual(later, [])
    process.emit('SIGTERM')
    assert.deepEqual(later, [130])
  })
})

describe('log', () => {
  it('writes fields, the request id of a child, and no secrets', () => {
    const output = new PassThrough()
    const log = createLogger({ name: 'clone-1', level: 'debug', pretty: false, output })
    log.child({ requestId: 'r1' }).warn({ password: 'hunter2', error: new Error('boom') }, 'careful')
    const line = String(output.read())
    assert.ok(!line.includes('hunter2'))
    const { name, requestId, msg, error } = JSON.parse(line) as Record<string, unknown>
    assert.deepEqual({ name, requestId, msg }, { name: 'clone-1', requestId: 'r1', msg: 'careful' })
    assert.match(JSON.stringify(error), /boom/)
  })

  it('the pretty form is for people', async () => {
    const output = new PassThrough()
    createLogger({ name: 'x', pretty: true, output }).info({}, 'hello')
    const [chunk] = (await output.take(1).toArray()) as [Buffer]
    assert.match(String(chunk), /hello/)
    assert.throws(() => JSON.parse(String(chunk)) as unknown)
  })
})

it('an address is shown without its password', () => {
  assert.equal(redactUrl('postgres://me:hunter2@h:5432/x'), 'postgres://me:***@h:5432/x')
  assert.equal(redactUrl('hunter2'), '<address>')
})
