/**
 * The statements of a fill: run like any read of the same scope, and recorded with what they read and how new it is
 * at least (FRESHNESS rules 18, 19 and 26).
 *
 * The order is the argument: the visible position and the watermark are taken first, then the statement is sent. What it
 * shows is at least as new as the visible position where the primary answers, or as the replay position that the
 * replica's own connection told before. And what its text means was looked up in a catalogue that is valid at the
 * watermark: a replica may know newer definitions than this process, so an answer counts as no newer than that.
 */

import { FourfoldError } from '../core/errors.ts'
import { evaluateReads, volatileParameter } from '../engines/postgres/reads/evaluate.ts'
import { asOf, type Position } from '../engines/position.ts'
import { CatalogueHolder } from './catalogue-holder.ts'
import { isQueryObject, type Cluster } from './cluster.ts'
import { ownParameters } from './parameters.ts'

import type { Router } from './router.ts'
import type { Logger } from '../core/log.ts'
import type { ReadAnalyser, ReadPlan } from '../engines/postgres/reads/plan.ts'
import type { Statement } from '../engines/postgres/routed-pool.ts'
import type { PartRecorder } from '../freshness/changes/recorder.ts'
import type { Scope } from '../freshness/scope.ts'
import type pg from 'pg'

/** What a fill is told besides: about all of its statements, in whatever database. */
export interface FillSink {
  part(database: string): PartRecorder | null
  /** A statement whose changes cannot be followed at all. */
  uncacheable(reason: string): void
  /** A statement whose answer changes without a change of data. */
  volatile(reason: string): void
  /**
   * The same, for these parameters: `today` may have been typed by a user, so it is no mistake of the load, and this
   * answer alone is not kept.
   */
  unsteady(reason: string): void
}

type Plan = Extract<ReadPlan, { readonly cacheable: true }>

export class RecordedReads {
  readonly #cluster: Cluster
  readonly #analyser: ReadAnalyser
  readonly #catalogues: CatalogueHolder | null

  constructor(cluster: Cluster, analyser: ReadAnalyser, log: Logger) {
    this.#cluster = cluster
    this.#analyser = analyser
    const client = { query: (text: string, values?: unknown[]) => cluster.runClean(text, values) }
    this.#catalogues = cluster.changes && new CatalogueHolder(cluster.changes, client, log)
  }

  /** A router for one fill's executor. */
  router(scope: Scope, sink: FillSink): Router {
    const cluster = this.#cluster
    return {
      database: cluster.name,
      isRead: (text) => cluster.isRead(text),
      run: (statement, values) => this.#run(scope, sink, statement, values),
      checkout: () => Promise.reject(mayOnlyRead(cluster.name)),
      checkoutReader: () => Promise.reject(mayOnlyRead(cluster.name)),
    }
  }

  /** For people; null where no catalogue is loaded. */
  tableName(oid: number): string | null {
    return this.#catalogues?.nameOf(oid) ?? null
  }

  async #run(
    scope: Scope,
    sink: FillSink,
    asGiven: Statement,
    given: readonly unknown[] | undefined,
  ): Promise<pg.QueryResult> {
    const cluster = this.#cluster
    const { text, values: asked = given } = typeof asGiven === 'string' ? { text: asGiven } : asGiven
    // What is sent and what is recorded must be the same, whatever becomes of the caller's array.
    const values = asked && ownParameters(asked)
    // A cursor would go on reading on a connection that was given back.
    if (!cluster.isRead(text) || isQueryObject(asGiven)) throw mayOnlyRead(cluster.name)
    const statement =
      typeof asGiven === 'string' || asGiven.values === undefined ? asGiven : { ...asGiven, values: [...values!] }
    const part = sink.part(cluster.name)
    if (part === null) return await this.#runUnrecorded(scope, null, statement, values)
    if (this.#catalogues?.current === null) await this.#catalogues.load()
    // From here on to the sending of the statement without a pause: no message can come in between.
    const plan = this.#plan(text, values ?? [], part, sink)
    const visible = cluster.changes?.visible
    if (plan === 'uncacheable') return await this.#runUnrecorded(scope, null, statement, values)
    if (plan === null || !visible) return await this.#runUnrecorded(scope, part, statement, values)
    const known: Position = { epoch: visible.epoch, lsn: cluster.changes!.watermark }
    const { result, replay } = await cluster.runFill(scope, statement, values)
    part.bound(asOf(replay ?? visible), replay !== null)
    if (replay !== null) part.validated(known)
    part.record(evaluateReads(plan, values ?? []))
    return result
  }

  async #runUnrecorded(
    scope: Scope,
    part: PartRecorder | null,
    statement: Statement,
    values: readonly unknown[] | undefined,
  ): Promise<pg.QueryResult> {
    part?.refuse('no change stream')
    return (await this.#cluster.runFill(scope, statement, values)).result
  }

  /** Null: the statement can be run and not be recorded now. */
  #plan(text: string, values: readonly unknown[], part: PartRecorder, sink: FillSink): Plan | 'uncacheable' | null {
    const catalogue = this.#catalogues?.current ?? null
    if (catalogue === null) {
      part.refuse('no catalogue')
      return null
    }
    const plan = this.#analyser.plan(text, catalogue)
    if (!plan.cacheable) {
      // A table that was made a moment ago: the server knows it, and the change stream has not told of it yet.
      if (plan.unknown) part.refuse('definitions')
      else sink.uncacheable(plan.reason)
      return 'uncacheable'
    }
    if (plan.volatile !== null) sink.volatile(plan.volatile)
    const unsteady = volatileParameter(plan, values)
    if (unsteady !== null) sink.unsteady(unsteady)
    return plan
  }
}

function mayOnlyRead(database: string): FourfoldError {
  const message =
    `The load of a cached object may only read database ${database}, statement by statement: ` +
    'write outside of it, and list functions of your own that only read in readFunctions'
  return new FourfoldError('FF_CACHE_LOAD_WRITES', message, { fields: { database } })
}
