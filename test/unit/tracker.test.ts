import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import type { Lsn } from '../../src/engines/position.ts'
import { encodeStatus, readFrame } from '../../src/engines/postgres/changes/frames.ts'
import { slotName } from '../../src/engines/postgres/changes/names.ts'
import { isSynchronous } from '../../src/engines/postgres/changes/observation.ts'
import { parseSnapshot, Visibility, widenXid } from '../../src/engines/postgres/changes/visibility.ts'
import { hashName, templateId, type TemplateId } from '../../src/freshness/changes/hash.ts'
import { decodeMessage, type ChangeMessage, type CommitChanges } from '../../src/freshness/changes/message.ts'
import { Collector } from '../../src/freshness/tracker/collector.ts'
import { CommitBuilder } from '../../src/freshness/tracker/commit-builder.ts'
import { CoverageState } from '../../src/freshness/tracker/coverage-state.ts'
import { FrameQueue } from '../../src/freshness/tracker/frame-queue.ts'
import { Publisher } from '../../src/freshness/tracker/publisher.ts'
import { until } from '../support/postgres.ts'

test('transaction numbers', async (t) => {
  await t.test('are widened to the nearest 64-bit number, on both sides of a wraparound', () => {
    const near = 2n ** 32n
    const snapshot = parseSnapshot(`${near - 5n}:${near + 3n}:`)
    assert.equal(widenXid(2 ** 32 - 4, snapshot), near - 4n)
    assert.equal(widenXid(1, snapshot), near + 1n)
    assert.equal(widenXid(9, snapshot), near + 9n, 'beyond the snapshot')
    assert.equal(widenXid(700, parseSnapshot('690:701:690')), 700n)
  })
})

test('the visible position', async (t) => {
  await t.test('is the end below the first commit that a later snapshot does not show', () => {
    const visibility = new Visibility(100, true)
    visibility.observe(parseSnapshot('5:5:'), visibility.mark())
    for (const [xid, end] of [
      [10, 200],
      [11, 300],
      [12, 400],
    ] as const) {
      visibility.commit(xid, end)
    }
    visibility.advance(450)
    assert.equal(visibility.visible, 100)
    visibility.observe(parseSnapshot('11:13:11'), visibility.mark())
    assert.equal(visibility.visible, 200)
    visibility.compact()
    visibility.observe(parseSnapshot('13:13:'), visibility.mark())
    assert.equal(visibility.visible, 450)
    visibility.advance(500)
    assert.equal(visibility.visible, 500)
  })

  await t.test('is not told by a snapshot that was asked for before the commit came', () => {
    const visibility = new Visibility(100, true)
    const mark = visibility.mark()
    visibility.commit(10, 200)
    visibility.observe(parseSnapshot('50:50:'), mark)
    assert.equal(visibility.visible, 100)
  })

  await t.test('a commit whose number the snapshot does not reach is not visible', () => {
    const visibility = new Visibility(100, true)
    visibility.commit(10, 200)
    visibility.observe(parseSnapshot('10:10:'), visibility.mark())
    assert.equal(visibility.visible, 100)
  })

  await t.test('is unknown on a new slot while transactions go on that ran when it began', () => {
    const visibility = new Visibility(100, false)
    visibility.observe(parseSnapshot('7:9:7'), visibility.mark())
    visibility.commit(10, 200)
    visibility.observe(parseSnapshot('7:12:7'), visibility.mark())
    assert.equal(visibility.visible, 0)
    visibility.observe(parseSnapshot('12:12:'), visibility.mark())
    assert.equal(visibility.visible, 200)
  })
})

test('who counts as a synchronous standby', () => {
  for (const names of [
    '*',
    'FIRST 1 (*)',
    'ANY 2 (a, "fourfold-tracker", b)',
    '2 (a,*)',
    '"*"',
    '"Fourfold-Tracker"',
  ]) {
    assert.equal(isSynchronous(names), true, names)
  }
  for (const names of ['', 'standby_1', 'ANY 1 (a, b)', 'first_tracker', 'any 1 ("x*")']) {
    assert.equal(isSynchronous(names), false, names)
  }
})

test('names of slots are short enough, and tell databases apart', () => {
  assert.equal(slotName('main', 16384), 'fourfold_main_16384')
  assert.match(slotName('Ünder-Über'.repeat(20), 4_294_967_295), /^fourfold_[a-z0-9_]+_4294967295$/)
  assert.equal(slotName('x'.repeat(200), 4_294_967_295).length, 63)
})

test('frames', () => {
  const status = encodeStatus(2 ** 40 + 5, true)
  assert.equal(status.length, 34)
  assert.equal(status[33], 1)
  const keepalive = Buffer.alloc(18)
  keepalive[0] = 0x6b
  keepalive.writeUInt32BE(256, 1)
  keepalive.writeUInt32BE(5, 5)
  keepalive[17] = 1
  assert.deepEqual(readFrame(keepalive), { kind: 'keepalive', end: 2 ** 40 + 5, replyWanted: true })
  assert.throws(() => readFrame(Buffer.from('x')))
})

test('frames are taken in order, one at a time, and the socket rests while much waits', async () => {
  const calls: string[] = []
  const queue = new FrameQueue({ pause: () => calls.push('pause'), resume: () => calls.push('resume') }, (error) =>
    assert.fail(String(error)),
  )
  const taken: string[] = []
  const gate = Promise.withResolvers<void>()
  queue.push(Buffer.from('early'))
  queue.open((frame) => {
    taken.push(frame.toString('utf8', 0, 5))
    return frame.toString() === 'waits' ? gate.promise : undefined
  })
  const reused = Buffer.from('waits')
  queue.push(reused)
  reused.write('after')
  queue.push(reused)
  reused.write('XXXXX')
  queue.push(Buffer.alloc(5 * 1024 * 1024))
  assert.deepEqual(calls, ['pause'])
  assert.deepEqual(taken, ['early', 'waits'])
  gate.resolve()
  await new Promise(setImmediate)
  assert.deepEqual(taken.slice(0, 3), ['early', 'waits', 'after'])
  assert.deepEqual(calls, ['pause', 'resume'])
})

test('a commit', async (t) => {
  await t.test('holds each hash once, and names tables where there are too many', () => {
    const builder = new CommitBuilder(3)
    builder.changed(1)
    for (const hash of [1, 2, 1, 3]) builder.row(1, [hash, hash])
    assert.deepEqual([...(builder.finish(10)?.hashes ?? [])], [1, 1, 2, 2, 3, 3])
    for (const [table, hash] of [
      [1, 1],
      [2, 2],
      [1, 3],
      [3, 4],
      [4, 5],
    ] as const) {
      builder.changed(table)
      builder.row(table, [hash, 0])
    }
    const wide = builder.finish(20)
    assert.deepEqual(wide?.wide, [1, 2, 3, 4])
    assert.equal(wide.hashes.length, 0)
    assert.equal(builder.finish(30), null)
  })

  await t.test('that touches too many names is everything', () => {
    const builder = new CommitBuilder(3)
    for (let count = 0; count < 4; count += 1) builder.name([count, 0])
    assert.equal(builder.finish(10)?.everything, true)
  })
})

interface Told {
  readonly commits: (CommitChanges | null)[]
  readonly positions: Lsn[]
  templates: ReadonlyMap<TemplateId, Lsn>
}

function makeCollector(published = true): { collector: Collector; told: Told } {
  const told: Told = { commits: [], positions: [], templates: new Map() }
  const collector = new Collector(100, {
    lineage: async () => ({ ancestors: [], published, exactTypes: [] }),
    commit: (changes, _xid, end) => {
      told.commits.push(changes)
      told.positions.push(end)
    },
    advance: (changes, position) => {
      if (changes !== null) told.commits.push(changes)
      told.positions.push(position)
    },
    ddl: () => undefined,
    beat: () => undefined,
    templates: (since) => (told.templates = new Map(since)),
  })
  return { collector, told }
}

/** An insert of one text. */
function insertOf(table: number, value: string): Buffer {
  const text = Buffer.from(value)
  const message = Buffer.alloc(13 + text.length)
  message.write('I')
  message.writeUInt32BE(table, 1)
  message.write('N', 5)
  message.writeUInt16BE(1, 6)
  message.write('t', 8)
  message.writeUInt32BE(text.length, 9)
  text.copy(message, 13)
  return message
}

test('the collector', async (t) => {
  const relation = { oid: 7, columns: [{ name: 'a', identity: true, type: 25 }] }
  const template = templateId(7, ['a'])

  await t.test('takes keepalives for positions only outside of transactions', () => {
    const { collector, told } = makeCollector()
    collector.keepalive(150)
    collector.begin(5)
    collector.keepalive(300)
    assert.equal(collector.position, 150)
    collector.commit(250)
    collector.keepalive(200)
    assert.equal(collector.position, 250)
    assert.deepEqual(told.positions, [150, 250])
  })

  await t.test('begins to hash a column between two transactions only', async () => {
    const { collector, told } = makeCollector()
    collector.begin(5)
    await collector.relation(relation)
    collector.row('insert', 7, insertOf(7, 'x'))
    collector.watch([template])
    collector.row('insert', 7, insertOf(7, 'y'))
    collector.commit(200)
    assert.equal(told.commits[0]?.hashes.length, 0)
    collector.begin(6)
    assert.deepEqual([...told.templates], [[template, 200]])
    collector.row('insert', 7, insertOf(7, 'z'))
    collector.commit(300)
    assert.equal(told.commits[1]?.hashes.length, 2)
  })

  await t.test('a change of a relation that the catalogue does not explain is everything', async () => {
    const { collector, told } = makeCollector(false)
    collector.begin(5)
    await collector.relation(relation)
    collector.row('insert', 7, insertOf(7, 'x'))
    collector.commit(200)
    assert.equal(told.commits[0]?.everything, true)
  })

  await t.test('a name touched outside of a transaction counts from the next position on', () => {
    const { collector, told } = makeCollector()
    collector.message('fourfold:touch', Buffer.from('weather'), false, 120)
    collector.keepalive(110)
    assert.equal(told.commits.length, 0)
    collector.keepalive(130)
    assert.deepEqual([...(told.commits[0]?.hashes ?? [])], [...hashName('weather')])
    assert.equal(told.commits[0]?.to, 130)
  })
})

test('the publisher', async (t) => {
  const commit = (to: Lsn, size = 2): CommitChanges => ({
    to,
    tables: [1],
    wide: [],
    everything: false,
    hashes: new Uint32Array(size),
  })
  const make = (append: (bytes: Uint8Array) => Promise<void>) => {
    let position = 100
    const published: Lsn[] = []
    const publisher = new Publisher({
      database: 'main',
      store: {
        appendToStream: async (_stream, bytes) => {
          await append(bytes)
          return 1
        },
      },
      epoch: 'e',
      tracker: 't',
      from: 100,
      coverage: new CoverageState(),
      position: () => position,
      visible: () => 0,
      published: (to) => published.push(to),
      log: silentLogger,
    })
    const add = (...commits: CommitChanges[]): void => {
      for (const changes of commits) publisher.add(changes)
      position = commits.at(-1)?.to ?? position
      publisher.wake()
    }
    return { publisher, published, add }
  }
  const read = (bytes: Uint8Array): ChangeMessage => decodeMessage(bytes) as ChangeMessage
  const untilPublished = async (publisher: Publisher, to: Lsn): Promise<void> => {
    await until(`${to} to be published`, async () => publisher.published === to)
  }

  await t.test('chains its messages, one append at a time', async () => {
    const messages: ChangeMessage[] = []
    let under = 0
    const { add, publisher } = make(async (bytes) => {
      under += 1
      assert.equal(under, 1)
      await new Promise(setImmediate)
      messages.push(read(bytes))
      under -= 1
    })
    for (let to = 200; to < 1200; to += 100) {
      add(commit(to))
      await new Promise(setImmediate)
    }
    await untilPublished(publisher, 1100)
    assert.equal(publisher.weight, 0)
    for (const [index, { from }] of messages.entries()) assert.equal(from, messages[index - 1]?.to ?? 100)
    assert.equal(messages.flatMap(({ commits }) => commits).length, 10)
  })

  await t.test('repeats what the store did not take, and counts it as published only then', async () => {
    let failures = 3
    const { add, published, publisher } = make(async () => {
      assert.deepEqual(published, [])
      failures -= 1
      if (failures >= 0) throw new Error('away')
    })
    add(commit(200))
    await untilPublished(publisher, 200)
    assert.deepEqual(published, [200])
    assert.equal(failures, -1)
  })

  await t.test('spreads large commits over messages, and never one commit over two', async () => {
    const messages: ChangeMessage[] = []
    const { add, publisher } = make(async (bytes) => void messages.push(read(bytes)))
    add(commit(200, 50_000), commit(300, 50_000), commit(400, 50_000))
    await untilPublished(publisher, 400)
    assert.deepEqual(
      messages.map(({ from, to }) => [from, to]),
      [
        [100, 200],
        [200, 300],
        [300, 400],
      ],
    )
  })
})
