import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { ChangeFollower, type FollowerOptions } from '../../src/freshness/changes/follower.ts'
import { Filter, type Quiet } from '../../src/freshness/changes/filter.ts'
import { hashName, hashRow, hashVersion, templateId, templateParts } from '../../src/freshness/changes/hash.ts'
import { decodeMessage, encodeMessage, type ChangeMessage } from '../../src/freshness/changes/message.ts'
import { createLogger } from '../../src/core/log.ts'
import {
  affects,
  changes,
  dependenciesOf,
  random,
  shuffleALittle,
  tables,
  tell,
  templates,
  type Compared,
} from '../support/change-histories.ts'

const log = createLogger({ level: 'silent', name: 'test' })

function follower(nowMs: () => number = () => performance.now()): ChangeFollower {
  return new ChangeFollower({
    database: 'main',
    store: null as unknown as FollowerOptions['store'],
    filterSlots: 64,
    nowMs,
    log,
  })
}

interface Counts {
  /** How often something that had changed passed for unchanged. */
  wrong: number
  unchanged: number
  /** How often because nothing of it had changed since it was compared before. */
  quiet: number
}

/** Where rules are broken on purpose. */
interface Breach {
  readonly acceptGaps?: boolean
  readonly watchedFromEverSince?: boolean
  /** What was found unchanged once is not compared again when something was missed. */
  readonly overlooksHoles?: boolean
  /** Nor when its table changed. */
  readonly overlooksTables?: boolean
  /** Or as if all that will ever change was known then. */
  readonly overlooksRows?: boolean
}

/**
 * Random histories, told by trackers that come and go, each watching something of its own, over a stream that loses,
 * repeats and mixes their messages.
 */
function run(seed: number, breach: Breach = {}): Counts {
  const next = random(seed)
  const history = changes(next)
  const messages = shuffleALittle(
    [...tell('a', history, 0, 200, next), ...tell('b', history, next(60), 150, next)].filter(() => next(6) !== 0),
    next,
  )
  const reader = follower()
  const remembered: { readonly what: Compared; readonly quiet: Quiet }[] = []
  const counts = { wrong: 0, unchanged: 0, quiet: 0 }
  const judge = (what: Compared): void => {
    counts.unchanged += 1
    if (history.some((change) => change.to <= reader.watermark && affects(change, what))) counts.wrong += 1
  }
  for (const message of messages) {
    const spoiled = breach.acceptGaps && message.from > reader.watermark && reader.epoch !== null
    reader.accept(spoiled ? { ...message, from: reader.watermark } : message)
    const filter = reader.filter!
    for (const { what, quiet: before } of remembered) {
      const spoiledQuiet = { ...before, version: -1, ...spoilQuiet(filter, before, breach) }
      const again = filter.compareAgain(next(2) === 0 ? before : spoiledQuiet, dependenciesOf(what), reader.watermark)
      if (again !== null) continue
      counts.quiet += 1
      judge(what)
    }
    for (let tries = 0; tries < 6; tries += 1) {
      const what = { table: tables[next(2)]!, row: next(4), whole: next(2) === 0, asOf: next(200), also: next(3) === 0 }
      if (staleness(filter, what, breach) !== null) continue
      judge(what)
      const depends = dependenciesOf(what)
      // Not what a breach alone took for unchanged.
      if (filter.staleness(depends, what.asOf) !== null) continue
      remembered.push({ what, quiet: filter.quiet(depends, Math.max(what.asOf, reader.watermark)) })
      if (remembered.length > 20) remembered.shift()
    }
  }
  return counts
}

function spoilQuiet(filter: Filter, { tables: all }: Quiet, breach: Breach): Partial<Quiet> {
  const { holes } = filter.quiet({ tables: [], rows: [], names: [] }, 0)
  if (breach.overlooksTables) return { tables: [] }
  if (breach.overlooksRows) return { at: Number.MAX_SAFE_INTEGER }
  return breach.overlooksHoles ? { holes, tables: all } : {}
}

function staleness(filter: Filter, what: Compared, breach: Breach): string | null {
  const depends = dependenciesOf(what)
  const found = filter.staleness(depends, what.asOf)
  const [read] = depends.rows
  // As if whatever is watched now had been watched always: the sketch alone decides.
  const spoiled = found === 'unwatched' && breach.watchedFromEverSince && read !== undefined && !what.whole
  if (!spoiled || filter.templateSince(read.template) === null) return found
  return filter.staleness({ tables: [], rows: [], names: read.hashes }, what.asOf)
}

function total(runs: number, breach: Breach = {}): Counts {
  const sum = { wrong: 0, unchanged: 0, quiet: 0 }
  for (let seed = 1; seed <= runs; seed += 1) {
    const counts = run(seed, breach)
    sum.wrong += counts.wrong
    sum.unchanged += counts.unchanged
    sum.quiet += counts.quiet
  }
  return sum
}

const quiet = { hashVersion, epoch: 'e', tracker: 't', visible: 0, commits: [], coverageId: '', coverage: null }

suite('the filter of changes', () => {
  test('nothing that changed passes for unchanged, whatever is lost, repeated or told by two', () => {
    const { wrong, unchanged, quiet: stayed } = total(3_000)
    assert.equal(wrong, 0)
    assert.ok(unchanged > 10_000, `only ${unchanged} answers were “unchanged”`)
    assert.ok(stayed > 10_000, `only ${stayed} of them without another comparison`)
  })

  test('planted: what was unchanged once counts as unchanged after a hole', () => {
    assert.ok(total(300, { overlooksHoles: true }).wrong > 0)
  })

  test('planted: what was unchanged once counts as unchanged after its table changed', () => {
    assert.ok(total(300, { overlooksTables: true }).wrong > 0)
  })

  test('planted: what was unchanged once counts as unchanged for all changes', () => {
    assert.ok(total(300, { overlooksRows: true }).wrong > 0)
  })

  test('what depends on a name is over when that is raised', () => {
    const filter = new Filter(0, 64)
    const depends = { tables: [], rows: [], names: [...hashName('weather')] }
    const before = filter.quiet(depends, 5)
    assert.equal(filter.compareAgain(before, depends, 5), null)
    filter.apply({ to: 7, tables: [], wide: [], everything: false, hashes: Uint32Array.from(hashName('weather')) })
    assert.equal(filter.compareAgain(before, depends, 7), 'name')
  })

  test('planted: a message behind a gap is taken as if nothing was missing', () => {
    assert.ok(total(300, { acceptGaps: true }).wrong > 0)
  })

  test('planted: what is watched now counts as watched always', () => {
    assert.ok(total(300, { watchedFromEverSince: true }).wrong > 0)
  })

  test('collisions only add to what counts as changed', () => {
    const filter = new Filter(0, 2)
    const one = hashRow(templates[0]!, ['1'])
    filter.cover(
      { tables: new Map([[1, { since: 0, tracking: 'full' }]]), templates: new Map([[templates[0]!, 0]]) },
      0,
      9,
      0,
    )
    filter.apply({ to: 9, tables: [1], wide: [], everything: false, hashes: Uint32Array.from([0, 1]) })
    const rows = [{ template: templates[0]!, table: 1, hashes: [...one] }]
    assert.equal(filter.staleness({ tables: [], rows, names: [] }, 8), 'row')
    assert.equal(filter.staleness({ tables: [], rows, names: [] }, 9), null)
  })
})

suite('a follower of changes', () => {
  test('begins with the oldest message, and takes what is older for changed', () => {
    const reader = follower()
    reader.accept({ ...quiet, from: 100, to: 120, visible: 110 })
    assert.equal(reader.watermark, 120)
    assert.equal(reader.visible?.lsn, 110)
    assert.equal(reader.filter?.staleness({ tables: [], rows: [], names: [] }, 99), 'forgotten')
    assert.equal(reader.filter?.staleness({ tables: [], rows: [], names: [] }, 100), null)
  })

  test('forgets everything with another epoch, also where its positions are the same', () => {
    const reader = follower()
    reader.accept({ ...quiet, from: 100, to: 120, visible: 120 })
    reader.accept({ ...quiet, epoch: 'other', from: 90, to: 95 })
    assert.equal(reader.watermark, 95)
    assert.equal(reader.epoch, 'other')
    assert.equal(reader.visible?.lsn, 0)
    assert.ok(!reader.reached({ epoch: 'e', lsn: 1 }))
  })

  test('is off, not wrong, beside a tracker of another version', () => {
    const reader = follower()
    reader.accept({ ...quiet, from: 0, to: 10 })
    assert.equal(reader.accept({ ...quiet, hashVersion: hashVersion + 1, from: 10, to: 20 }), false)
    assert.deepEqual([reader.filter, reader.visible], [null, null])
    reader.accept({ ...quiet, from: 20, to: 30 })
    assert.equal(reader.filter?.staleness({ tables: [], rows: [], names: [] }, 15), 'forgotten')
  })

  test('waits for a position, and no longer than it was told', async () => {
    const reader = follower()
    reader.accept({ ...quiet, from: 0, to: 10 })
    const soon = reader.waitFor({ epoch: 'e', lsn: 15 }, 5_000)
    assert.equal(await reader.waitFor({ epoch: 'e', lsn: 99 }, 5), false)
    reader.accept({ ...quiet, from: 10, to: 20 })
    assert.equal(await soon, true)
    assert.equal(await reader.waitFor({ epoch: 'other', lsn: 1 }, 5_000), false)
  })

  test('knows from which position on what it read of the catalogues is out of date', () => {
    const reader = follower()
    const commit = { to: 12, tables: [], wide: [], everything: true, hashes: new Uint32Array() }
    reader.accept({ ...quiet, from: 0, to: 20, commits: [commit] })
    assert.equal(reader.definitionsAt, 12)
    assert.equal(reader.filter?.staleness({ tables: [], rows: [], names: [] }, 11), 'forgotten')
  })
})

suite('messages of a tracker', () => {
  test('come back as they were sent', () => {
    const message: ChangeMessage = {
      hashVersion,
      epoch: 'a.b',
      tracker: 't',
      from: 2 ** 52,
      to: 2 ** 52 + 5,
      visible: 2 ** 52 + 1,
      commits: [
        {
          to: 2 ** 52 + 5,
          tables: [16_384],
          wide: [7],
          everything: true,
          hashes: Uint32Array.from(hashName('weather')),
        },
      ],
      coverageId: 'c',
      coverage: {
        tables: new Map([[16_384, { since: 5, tracking: 'key' }]]),
        templates: new Map([[templates[0]!, 6]]),
      },
    }
    assert.deepEqual(decodeMessage(encodeMessage(message)), message)
  })

  test('of another version are known by it, and what is no message is null', () => {
    const bytes = encodeMessage({ ...quiet, hashVersion: 999, from: 0, to: 1 })
    assert.deepEqual(decodeMessage(bytes), { hashVersion: 999 })
    assert.equal(decodeMessage(Buffer.from('nonsense')), null)
  })

  test('a table has room for a number of sets of columns, and what is asked for in vain is given up', () => {
    let nowMs = 0
    const reader = follower(() => nowMs)
    const sets = Array.from({ length: 30 }, (_, at) => [`c${at}`])
    const choose = (key: readonly string[]): (string | null)[] => sets.map((reads) => reader.templateFor(7, key, reads))
    const all = templateId(7, ['id'])
    assert.deepEqual(
      choose(['id']),
      sets.map((reads, at) => (at < 24 ? templateId(7, ['id'], reads) : all)),
    )
    assert.equal(reader.templateFor(7, [], ['x']), null, 'the whole table')
    assert.equal(reader.templateFor(8, [], ['x']), templateId(8, [], ['x']), 'another table')
    nowMs = 60_000
    assert.deepEqual(new Set(choose(['id'])), new Set([all]))
    const late = templateId(7, ['id'], ['c29'])
    const coverage = {
      tables: new Map([[7, { since: 0, tracking: 'full' as const }]]),
      templates: new Map([[late, 0]]),
    }
    reader.accept({ ...quiet, from: 0, to: 9, coverage })
    assert.equal(reader.templateFor(7, ['id'], ['c29']), late, 'somebody else asked for it')
  })

  test('templates are told apart by table and columns, in whatever order these are named', () => {
    assert.equal(templateId(5, ['b', 'a']), templateId(5, ['a', 'b']))
    assert.deepEqual(templateParts(templateId(5, ['b', 'a'])), { table: 5, columns: ['a', 'b'], reads: null })
    assert.deepEqual(templateParts(templateId(5, ['b'], ['c', 'b', 'a'])), {
      table: 5,
      columns: ['b'],
      reads: ['a', 'c'],
    })
    assert.deepEqual(templateParts(templateId(5, [], ['a'])), { table: 5, columns: [], reads: ['a'] })
    assert.deepEqual(templateParts(templateId(5, ['a'], [])), { table: 5, columns: ['a'], reads: [] })
    const ids = [templateId(5, ['a']), templateId(5, ['a'], []), templateId(5, [], ['a']), templateId(5, [], []), '5']
    assert.equal(new Set(ids).size, 5)
    assert.notDeepEqual(hashRow(templates[0]!, ['ab', 'c']), hashRow(templates[0]!, ['a', 'bc']))
  })
})
