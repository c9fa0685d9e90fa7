/**
 * One run of a tracker: one connection to the slot, from START_REPLICATION until anything goes wrong. What went wrong is
 * never mended here: the run ends, and the next one begins from what was acknowledged.
 */

import { randomBytes } from 'node:crypto'

import type pg from 'pg'

import type { Logger } from '../../core/log.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'
import { endClient } from '../../engines/postgres/client-state.ts'
import { StreamDecoder } from '../../engines/postgres/changes/decoder.ts'
import { readFrame } from '../../engines/postgres/changes/frames.ts'
import type { ReplicationConnection } from '../../engines/postgres/changes/replication-connection.ts'
import { readLineage, type Tracking } from '../../engines/postgres/changes/tables.ts'
import { Visibility } from '../../engines/postgres/changes/visibility.ts'
import type { Store } from '../../store/store.ts'
import { Collector } from './collector.ts'
import { CoverageState } from './coverage-state.ts'
import type { FrameQueue } from './frame-queue.ts'
import { LookOut } from './look-out.ts'
import { Publisher } from './publisher.ts'
import { Pulse } from './pulse.ts'
import { TableKeeper } from './table-keeper.ts'
import { Timers } from './timers.ts'
import { readWatchList } from './watch-list.ts'

/** What was opened for a run: see `open-run.ts`. */
export interface RunParts {
  readonly connection: ReplicationConnection
  /** For short statements. */
  readonly observer: pg.Client
  /** For joins, which wait for locks. */
  readonly keeper: pg.Client
  readonly slot: string
  readonly epoch: Epoch
  readonly fingerprint: string
  readonly from: Lsn
  readonly settled: boolean
  /** Why nothing may be cached. */
  readonly blind: string | null
  readonly queue: FrameQueue
}

export interface RunOptions {
  readonly database: string
  readonly store: Store
  readonly trackingOf: (schema: string, name: string) => Tracking
  /** A connection on which nothing arrives for so long is given up. */
  readonly silenceMs: number
  readonly log: Logger
}

export interface RunStatus {
  readonly epoch: Epoch
  readonly slot: string
  readonly position: Lsn
  readonly published: Lsn
  readonly visible: Lsn
  readonly acknowledged: Lsn
  /** Whether the last heartbeat came back in time. */
  readonly healthy: boolean
  readonly tables: number
  readonly refused: readonly { readonly table: number; readonly reason: string }[]
  readonly cacheOff: string | null
}

const beatEveryMs = 1000
const watchEveryMs = 200
const acknowledgeEveryMs = 10
/** How long what was received waits to be told together with its being visible. */
const lookPatienceMs = 2

const maxWeight = 1_000_000
const maxPending = 200_000

export class Run {
  readonly #parts: RunParts
  readonly #options: RunOptions
  readonly #collector: Collector
  readonly #publisher: Publisher
  readonly #visibility: Visibility
  readonly #coverage = new CoverageState()
  readonly #keeper: TableKeeper
  readonly #timers = new Timers((error) => this.#fail(error))
  readonly #lookOut: LookOut
  readonly #pulse: Pulse
  readonly ended: Promise<Error>
  #end: (error: Error) => void = () => undefined
  #over = false
  #acknowledged: Lsn
  #acknowledgeSoon = false
  #ddl = 0
  #waking = false

  constructor(parts: RunParts, options: RunOptions) {
    this.#parts = parts
    this.#options = options
    this.#acknowledged = parts.settled ? parts.from : 0
    this.ended = new Promise((resolve) => (this.#end = resolve))
    void parts.connection.ended.then((error) => this.#fail(error))
    for (const client of [parts.observer, parts.keeper]) client.on('error', (error) => this.#fail(error))
    this.#visibility = new Visibility(parts.from, parts.settled)
    this.#collector = this.#makeCollector()
    this.#publisher = this.#makePublisher()
    this.#keeper = this.#makeKeeper()
    this.#lookOut = this.#makeLookOut()
    this.#pulse = this.#makePulse()
  }

  /** Everything that was received so far is looked at from here on. */
  async start(): Promise<void> {
    const { connection, queue } = this.#parts
    // Says that this side is alive, whatever the other connections wait for.
    this.#timers.every(beatEveryMs, async () => connection.acknowledge(this.#acknowledged, true))
    await this.#keeper.verify()
    await this.#readWatchList()
    const decoder = new StreamDecoder(this.#collector)
    queue.open((frame) => this.#take(decoder, frame))
    this.#timers.every(watchEveryMs, () => this.#readWatchList())
    this.#timers.every(beatEveryMs, async () => {
      await this.#pulse.check()
      this.#publisher.wake()
    })
    this.#publisher.wake()
    this.#lookOut.wake()
  }

  get status(): RunStatus {
    const { epoch, slot, blind } = this.#parts
    return {
      epoch,
      slot,
      position: this.#collector.position,
      published: this.#publisher.published,
      visible: this.#visibility.visible,
      acknowledged: this.#acknowledged,
      healthy: !this.#over && this.#pulse.isHealthy,
      tables: this.#keeper.joined.size,
      refused: this.#keeper.refused,
      cacheOff: blind,
    }
  }

  /** Ends the run and everything that it opened. */
  async stop(): Promise<void> {
    this.#fail(new Error('the tracker was stopped'))
    const { observer, keeper, connection } = this.#parts
    connection.close()
    await this.#keeper.stop()
    await Promise.all([observer, keeper].map(endClient))
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#publisher.stop()
    this.#parts.queue.close()
    this.#timers.end()
    this.#end(error instanceof Error ? error : new Error(String(error)))
  }

  #makeCollector(): Collector {
    const { from, observer } = this.#parts
    return new Collector(from, {
      lineage: (table) => readLineage(observer, table),
      commit: (changes, xid, end) => {
        this.#visibility.commit(xid, end)
        if (changes !== null) this.#publisher.add(changes)
        this.#moved()
      },
      advance: (changes, position) => {
        this.#visibility.advance(position)
        if (changes !== null) this.#publisher.add(changes)
        this.#moved()
      },
      ddl: (tag) => this.#noticeDdl(tag),
      beat: (beat) => {
        this.#pulse.hear(beat)
        // Without this the keepalive behind the message could take a second.
        this.#parts.connection.acknowledge(this.#acknowledged, true)
      },
      templates: (since) => this.#coverage.setTemplates(since),
    })
  }

  #makePublisher(): Publisher {
    const { from, epoch } = this.#parts
    const { database, store, log } = this.#options
    return new Publisher({
      database,
      store,
      epoch,
      tracker: randomBytes(6).toString('base64url'),
      from,
      coverage: this.#coverage,
      position: () => this.#collector.position,
      visible: () => this.#visibility.visible,
      published: () => {
        this.#acknowledge()
        this.#press()
      },
      log,
    })
  }

  #makeKeeper(): TableKeeper {
    const { keeper: client, epoch, blind } = this.#parts
    const { trackingOf, log } = this.#options
    return new TableKeeper({
      client,
      epoch,
      trackingOf,
      changed: (tables) => {
        // Tables stay in the publication, and nothing may be cached from them.
        this.#coverage.setTables(blind === null ? tables : new Map())
        this.#publisher.wake()
      },
      failed: (error) => this.#fail(error),
      log,
    })
  }

  #makeLookOut(): LookOut {
    const { observer, epoch } = this.#parts
    return new LookOut({
      observer,
      epoch,
      visibility: this.#visibility,
      timers: this.#timers,
      moved: () => {
        this.#press()
        this.#acknowledge()
      },
      looked: () => this.#publisher.wake(),
      failed: (error) => this.#fail(error),
    })
  }

  #makePulse(): Pulse {
    const { observer, slot, connection, epoch, fingerprint, queue } = this.#parts
    return new Pulse({
      observer,
      slot,
      pid: connection.pid,
      epoch,
      fingerprint,
      silenceMs: this.#options.silenceMs,
      silentMs: () => queue.silentMs,
      membersChanged: () => void this.#keeper.verify(),
    })
  }

  #take(decoder: StreamDecoder, chunk: Buffer): Promise<void> | void {
    const frame = readFrame(chunk)
    if (frame.kind === 'data') return decoder.decode(frame.payload)
    this.#collector.keepalive(frame.end)
    if (frame.replyWanted) this.#parts.connection.acknowledge(this.#acknowledged)
    return undefined
  }

  #moved(): void {
    this.#press()
    if (this.#waking) return
    this.#waking = true
    // Once for all that came in one piece.
    queueMicrotask(() => {
      this.#waking = false
      // Mostly what has come is visible already: then one message says both, where it is not kept back for long.
      if (this.#lookOut.wake()) this.#timers.after(lookPatienceMs, () => this.#publisher.wake())
      else this.#publisher.wake()
    })
  }

  /** Reads no further while too much waits. */
  #press(): void {
    const { queue } = this.#parts
    queue.hold(this.#publisher.weight > maxWeight || this.#visibility.pendingCount > maxPending)
  }

  /** FRESHNESS rule 9. */
  #acknowledge(): void {
    const position = Math.min(this.#publisher.published, this.#visibility.visible)
    if (position <= this.#acknowledged || this.#acknowledgeSoon) return
    this.#acknowledgeSoon = true
    this.#timers.after(acknowledgeEveryMs, () => {
      this.#acknowledgeSoon = false
      this.#acknowledged = Math.min(this.#publisher.published, this.#visibility.visible)
      this.#parts.connection.acknowledge(this.#acknowledged)
    })
  }

  async #readWatchList(): Promise<void> {
    const { store, database } = this.#options
    // Without a store nothing can be asked for, and nothing published either.
    const list = await readWatchList(store, database).catch(() => null)
    if (list === null || this.#over) return
    // What may not be cached anyway costs its table nothing.
    if (this.#parts.blind === null) this.#keeper.want(list.tables)
    this.#collector.watch(list.templates)
    this.#publisher.wake()
  }

  /** DDL is in the stream at its own place; what it did to the publication is read here. */
  #noticeDdl(tag: string): void {
    this.#ddl += 1
    const ddl = this.#ddl
    // At once, so that no message that reaches the command claims what may not hold behind it.
    if (/PUBLICATION|OWNED/.test(tag)) this.#coverage.suspend(true)
    void this.#keeper.verify().then(() => {
      if (this.#ddl === ddl) this.#coverage.suspend(false)
      this.#publisher.wake()
    })
  }
}
