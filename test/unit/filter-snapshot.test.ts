import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { ChangeFollower, type FollowerOptions } from '../../src/freshness/changes/follower.ts'
import type { Dependencies } from '../../src/freshness/changes/dependencies.ts'
import { Filter, type Quiet } from '../../src/freshness/changes/filter.ts'
import { hashName, hashRow, hashVersion } from '../../src/freshness/changes/hash.ts'
import type { ChangeMessage } from '../../src/freshness/changes/message.ts'
import { slotsPerPiece, type FilterSnapshot } from '../../src/freshness/changes/snapshot.ts'
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
  touchedName,
  touches,
  type Change,
  type Compared,
} from '../support/change-histories.ts'

const log = createLogger({ level: 'silent', name: 'test' })

function follower(filterSlots = 64): ChangeFollower {
  const store = null as unknown as FollowerOptions['store']
  return new ChangeFollower({ database: 'main', store, filterSlots, log })
}

/** How a snapshot is spoiled before it is taken over. */
interface Breach {
  /** As if it reached up to where the joiner's knowledge begins. */
  readonly hidesGap?: boolean
  /** Only for tables and columns: the floors do meet. */
  readonly hidesLateTables?: boolean
  /** Tables and columns count as watched for as long as the snapshot goes back. */
  readonly watchedFromFloor?: boolean
  readonly hasNoFloor?: boolean
  readonly losesSlots?: boolean
  readonly losesTables?: boolean
  /** It is of another history, where positions mean something else. */
  readonly ignoresEpoch?: boolean
  /** What was compared before counts as compared with all that is known now. */
  readonly keepsVersion?: boolean
  /** It is taken over before the joiner has come so far. */
  readonly comesEarly?: boolean
}

interface Counts {
  wrong: number
  unchanged: number
  /** Unchanged since before the joiner's first message, which only a snapshot can tell. */
  older: number
  merged: number
}

/**
 * A writer and a joiner follow the same trackers, and each loses messages of its own. The joiner begins somewhere and
 * takes over, now and then, any snapshot that the writer ever took: older or newer than itself, or of another epoch.
 */
async function run(seed: number, breach: Breach): Promise<Counts> {
  const next = random(seed)
  const calm = 1 + next(6)
  const history = changes(next, calm)
  const told = tellAll(history, calm, next)
  const snapshots = [...snapshotsOf(told, next), ...foreignSnapshots(next)]
  const joiner = follower()
  const counts: Counts = { wrong: 0, unchanged: 0, older: 0, merged: 0 }
  const remembered: { readonly what: Compared; readonly quiet: Quiet }[] = []
  let begins: number | null = null
  const judge = (asOf: number, isAffecting: (change: Change) => boolean): void => {
    counts.unchanged += 1
    if (asOf < begins!) counts.older += 1
    if (history.some((change) => change.to <= joiner.watermark && isAffecting(change))) counts.wrong += 1
  }
  for (const message of told.slice(next(told.length - 2)).filter(() => next(10 * calm) !== 0)) {
    // Now and then it comes while a snapshot is taken over.
    const merging = begins !== null && next(2) === 0 ? mergeOne(joiner, snapshots, breach, next) : null
    joiner.accept(message)
    begins ??= message.from
    const before = holesOf(joiner.filter!)
    if (await merging) counts.merged += 1
    for (let tries = next(4); tries > 0; tries -= 1) {
      if (await mergeOne(joiner, snapshots, breach, next)) counts.merged += 1
    }
    const kept = breach.keepsVersion ? remembered.filter(({ quiet }) => quiet.holes === before) : []
    for (const { quiet } of kept) Object.assign(quiet, { holes: holesOf(joiner.filter!) })
    for (const { what, quiet } of remembered) {
      if (joiner.filter!.compareAgain(quiet, dependenciesOf(what), joiner.watermark) !== null) continue
      judge(what.asOf, (change) => affects(change, what))
    }
    for (let tries = 0; tries < 6; tries += 1) {
      const asOf = Math.max(0, next(3) === 0 ? next(200) : begins - next(50))
      const what = { table: tables[next(2)]!, row: next(4), whole: next(3) === 0, asOf, also: next(4) === 0 }
      const named = next(6) === 0
      const depends = named ? names : dependenciesOf(what)
      if (joiner.filter!.staleness(depends, asOf) !== null) continue
      judge(asOf, (change) => (named ? affectsName(change, asOf) : affects(change, what)))
      if (named) continue
      remembered.push({ what, quiet: joiner.filter!.quiet(depends, Math.max(asOf, joiner.watermark)) })
      if (remembered.length > 20) remembered.shift()
    }
  }
  return counts
}

const names: Dependencies = { tables: [], rows: [], names: [...hashName(touchedName)] }

function affectsName(change: Change, asOf: number): boolean {
  return change.to > asOf && (change.kind === 'everything' || touches(change))
}

function tellAll(history: readonly Change[], calm: number, next: (below: number) => number): ChangeMessage[] {
  const one = tell('a', history, 0, 200, next, calm)
  return calm > 3 ? one : shuffleALittle([...one, ...tell('b', history, next(60), 150, next, calm)], next)
}

/** Taken by a process that heard most of it, at random moments. */
function snapshotsOf(told: readonly ChangeMessage[], next: (below: number) => number): FilterSnapshot[] {
  const writer = follower()
  const snapshots: FilterSnapshot[] = []
  for (const message of told.filter(() => next(30) !== 0)) {
    writer.accept(message)
    const snapshot = writer.snapshot()!
    // Half of them have slots that go on rising: who writes one reads them piece by piece.
    const pieces = next(2) === 0 ? snapshot.pieces : snapshot.pieces.map((piece) => piece!.slice())
    if (next(3) === 0) snapshots.push({ ...snapshot, pieces })
  }
  return snapshots.length > 0 ? snapshots : [writer.snapshot()!]
}

function foreignSnapshots(next: (below: number) => number): FilterSnapshot[] {
  const told = tell('c', changes(next), 0, 200, next)
  return snapshotsOf(told, next).map((snapshot) => ({ ...snapshot, epoch: 'another' }))
}

async function mergeOne(
  joiner: ChangeFollower,
  snapshots: readonly FilterSnapshot[],
  breach: Breach,
  next: (below: number) => number,
): Promise<boolean> {
  const filter = joiner.filter!
  const snapshot = snapshots[next(snapshots.length)]!
  const { floor, tables: known, templates: hashed, pieces } = snapshot
  const meets = snapshot.watermark >= filter.floor
  const reaches = breach.hidesGap || (breach.hidesLateTables && meets)
  const spoiled = {
    ...snapshot,
    ...(reaches && { watermark: joiner.watermark }),
    ...(breach.hasNoFloor && { floor: 0 }),
    ...(breach.losesSlots && { pieces: pieces.map(() => null) }),
    ...(breach.losesTables && { tables: mapValues(known, (table) => ({ ...table, any: 0, wide: 0 })) }),
    ...(breach.watchedFromFloor && {
      tables: mapValues(known, (table) => ({ ...table, since: floor })),
      templates: mapValues(hashed, () => floor),
    }),
    ...(breach.ignoresEpoch && { epoch: 'e' }),
  }
  const merged =
    breach.comesEarly && spoiled.epoch === joiner.epoch ? mergeNow(filter, spoiled) : await joiner.merge(spoiled)
  if (breach.keepsVersion && merged) filter.version -= 1
  return merged
}

function mergeNow(filter: Filter, snapshot: Omit<FilterSnapshot, 'epoch'>): boolean {
  for (const [place, positions] of snapshot.pieces.entries()) if (positions !== null) filter.raise(place, positions)
  return filter.extend(snapshot)
}

function mapValues<K, V>(map: ReadonlyMap<K, V>, change: (value: V) => V): Map<K, V> {
  return new Map([...map].map(([key, value]) => [key, change(value)]))
}

function holesOf(filter: Filter): number {
  return filter.quiet({ tables: [], rows: [], names: [] }, 0).holes
}

async function total(runs: number, breach: Breach = {}): Promise<Counts> {
  const sum = { wrong: 0, unchanged: 0, older: 0, merged: 0 }
  for (let seed = 1; seed <= runs; seed += 1) {
    const counts = await run(seed, breach)
    for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += counts[name]
  }
  return sum
}

async function isCaught(breach: Breach, runs = 1_000): Promise<boolean> {
  for (let seed = 1; seed <= runs; seed += 1) if ((await run(seed, breach)).wrong > 0) return true
  return false
}

const watched = { since: 0, tracking: 'full' as const }
const heard = { hashVersion, epoch: 'e', tracker: 't', visible: 0, commits: [], coverageId: '', coverage: null }

const planted: Readonly<Record<string, Breach>> = {
  'one that does not reach to the first message is taken over': { hidesGap: true },
  'what joined after it counts as watched since before it': { hidesLateTables: true },
  'what joined before it counts as watched since its floor': { watchedFromFloor: true },
  'its floor is left out': { hasNoFloor: true },
  'its slots are left out': { losesSlots: true },
  'when tables changed is left out': { losesTables: true },
  'one of another epoch is taken over': { ignoresEpoch: true },
}

/** Not needed for a right answer: a snapshot tells of nothing that a joiner had taken for unchanged. */
const harmless: Readonly<Record<string, Breach>> = {
  'what was compared before it came is not compared again': { keepsVersion: true },
  'it is taken over before the joiner has come so far': { comesEarly: true },
}

// Beside those below, planted by hand in `joinedSince` and seen to fail the first of these tests: a table or a template
// takes the snapshot's `since` although its own is above the snapshot's watermark.
suite('a snapshot of the filter', () => {
  test('whoever takes it over never takes for unchanged what changed, and knows what it did not hear itself', async () => {
    const { wrong, older, merged } = await total(1_500)
    assert.equal(wrong, 0)
    assert.ok(merged > 500, `only ${merged} were taken over`)
    assert.ok(older > 2_000, `only ${older} answers came from further back than the joiner heard`)
  })

  for (const [what, breach] of Object.entries(planted)) {
    test(`planted: ${what}`, async () => assert.ok(await isCaught(breach)))
  }

  for (const [what, breach] of Object.entries(harmless)) {
    test(`harmless: ${what}`, async () => assert.ok(!(await isCaught(breach, 500))))
  }

  // Planted by hand and seen to fail this test: its own `since` left as it is; that of the snapshot told as it is.
  test('what the floor of either had hidden stays unknown when the floor falls', () => {
    const rows = [{ template: templates[0]!, table: 1, hashes: [...hashRow(templates[0]!, ['1'])] }]
    const depends = { tables: [], rows, names: [] }
    const knows = { tables: new Map([[1, watched]]), templates: new Map([[templates[0]!, 0]]) }
    const nothing = { tables: new Map<number, typeof watched>(), templates: new Map<string, number>() }
    const [gappy, narrow] = [new Filter(0, 64), new Filter(0, 64)]
    // One missed what happened up to 40, the other did not watch the table up to 50.
    gappy.cover(knows, 0, 10, 0)
    gappy.forget(40)
    gappy.cover(knows, 40, 60, 40)
    narrow.cover(knows, 0, 10, 0)
    narrow.cover(nothing, 10, 50, 10)
    narrow.cover({ tables: new Map([[1, watched]]), templates: knows.templates }, 50, 60, 50)
    const [gappyKnows, narrowKnows] = [gappy.known(60), narrow.known(60)]
    assert.ok(gappy.extend(narrowKnows))
    assert.ok(narrow.extend(gappyKnows))
    for (const filter of [gappy, narrow]) {
      assert.deepEqual([filter.floor, filter.tableSince(1), filter.templateSince(templates[0]!)], [0, 40, 40])
      assert.equal(filter.staleness(depends, 39), 'unwatched')
      assert.equal(filter.staleness(depends, 40), null)
    }
  })

  // Planted by hand and seen to fail this test: the version is not raised.
  test('nothing that was compared before is remembered beyond it', async () => {
    const [joiner, writer] = [follower(), follower()]
    writer.accept({ ...heard, from: 10, to: 60 })
    joiner.accept({ ...heard, from: 50, to: 60 })
    const before = joiner.filter!.quiet(names, 60)
    const { version } = joiner.filter!
    assert.ok(await joiner.merge(writer.snapshot()!))
    assert.equal(joiner.filter!.floor, 10)
    assert.ok(joiner.filter!.version > version)
    assert.equal(joiner.filter!.compareAgain(before, names, 60), 'unknown')
  })

  test('is refused where there is a gap, in another epoch, of another size, and before it was reached', async () => {
    const writer = follower()
    writer.accept({ ...heard, from: 10, to: 49 })
    const joiner = follower()
    assert.equal(await joiner.merge(writer.snapshot()!), false)
    joiner.accept({ ...heard, from: 50, to: 60 })
    assert.equal(await joiner.merge(writer.snapshot()!), false)
    writer.accept({ ...heard, from: 49, to: 61 })
    assert.equal(await joiner.merge(writer.snapshot()!), false)
    joiner.accept({ ...heard, from: 60, to: 61 })
    assert.equal(await joiner.merge({ ...writer.snapshot()!, epoch: 'another' }), false)
    const small = follower(32)
    small.accept({ ...heard, from: 50, to: 61 })
    assert.equal(await small.merge(writer.snapshot()!), false)
    assert.deepEqual([joiner.filter!.floor, small.filter!.floor], [50, 50])
    assert.ok(await joiner.merge(writer.snapshot()!))
    assert.equal(joiner.filter!.floor, 10)
  })

  // Planted by hand and seen to fail this test: it is not asked whether it is still the same filter.
  test('that is half taken over when everything is forgotten is not taken over at all', async () => {
    const [writer, joiner] = [follower(2 * slotsPerPiece), follower(2 * slotsPerPiece)]
    writer.accept({ ...heard, from: 10, to: 60 })
    joiner.accept({ ...heard, from: 50, to: 60 })
    const merging = joiner.merge(writer.snapshot()!)
    joiner.accept({ ...heard, hashVersion: hashVersion + 1, from: 60, to: 61 })
    joiner.accept({ ...heard, from: 50, to: 61 })
    assert.equal(await merging, false)
    assert.equal(joiner.filter!.floor, 50)
  })
})
