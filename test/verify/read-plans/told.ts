/**
 * From a change of a row to the end of an answer, as it goes in the running system: the row as pgoutput sends it, the
 * tracker's hashing, its message, a process's filter, and the dependencies that a fill recorded.
 */

import assert from 'node:assert/strict'

import { silentLogger } from '../../../src/core/log.ts'
import { asOf } from '../../../src/engines/position.ts'
import { ChangeFollower, type FollowerOptions } from '../../../src/freshness/changes/follower.ts'
import { hashVersion } from '../../../src/freshness/changes/hash.ts'
import { PartRecorder, type EntryPart, type RecordedRead } from '../../../src/freshness/changes/recorder.ts'
import { CommitBuilder } from '../../../src/freshness/tracker/commit-builder.ts'
import { planRelation, RowHasher } from '../../../src/freshness/tracker/row-hashing.ts'

import { rowMessage, type SentRow } from '../../support/row-message.ts'

import type { PrintedRow } from './ground.ts'
import type { CatalogueRelation } from '../../../src/engines/postgres/reads/catalogue.ts'
import type { Coverage } from '../../../src/freshness/changes/message.ts'

const builder = new CommitBuilder()
const hasher = new RowHasher()

/** A process that depends on these reads, and a tracker that watches what they need. */
export class Told {
  readonly #follower: ChangeFollower
  readonly #part: EntryPart
  readonly #coverage: Coverage

  constructor(reads: readonly RecordedRead[], ownExact: ReadonlySet<number>) {
    const store = null as unknown as FollowerOptions['store']
    this.#follower = new ChangeFollower({ database: 'main', store, filterSlots: 4096, log: silentLogger })
    this.ownExact = ownExact
    const templates = reads.flatMap(({ table, columns, reads: read }) => {
      const template = columns === null ? null : this.#follower.templateFor(table, columns, read)
      return template === null ? [] : [[template, 0] as const]
    })
    const tables = reads.map(({ table }) => [table, { since: 0, tracking: 'full' }] as const)
    this.#coverage = { tables: new Map(tables), templates: new Map(templates) }
    this.#accept(0, 1, [])
    const recorder = new PartRecorder('main', this.#follower)
    recorder.bound(asOf(this.#follower.visible!), false)
    recorder.record(reads)
    const part = recorder.finish()
    assert.ok('dependencies' in part)
    this.#part = part
  }

  readonly ownExact: ReadonlySet<number>

  /** Whether a change of a row ends the answer. @param relation of a partitioned table: its root */
  ends(relation: CatalogueRelation, before: PrintedRow | null, after: PrintedRow | null): boolean {
    // A part has a relation of its own, and stands below its root.
    const oid = relation.partitioned ? (relation.heirs[0] ?? relation.oid) : relation.oid
    const columns = relation.columns.map(({ name, type }) => ({ name, type, identity: true }))
    const tables = [...new Set([oid, relation.oid])]
    const plan = planRelation({ oid, columns }, tables, [...this.#coverage.templates.keys()], this.ownExact)
    const tag = before === null ? 'insert' : after === null ? 'delete' : 'update'
    const names = columns.map(({ name }) => name)
    const sent = (row: PrintedRow | null): SentRow | null => row && names.map((name) => row[name] ?? null)
    const [old, fresh] = [sent(before), sent(after)]
    const message = rowMessage(oid, { ...(old && { old }), ...(fresh && { new: fresh }) })
    hasher.add(plan, tag, message, builder)
    const watermark = this.#follower.watermark
    const commit = builder.finish(watermark + 1)
    this.#accept(watermark, watermark + 1, commit === null ? [] : [commit])
    return this.#follower.filter!.staleness(this.#part.dependencies, watermark) !== null
  }

  #accept(from: number, to: number, commits: Parameters<ChangeFollower['accept']>[0]['commits']): void {
    const head = { hashVersion, epoch: 'e', tracker: 't', from, to, visible: to, commits, coverageId: 'c' }
    this.#follower.accept({ ...head, coverage: this.#coverage })
  }
}
