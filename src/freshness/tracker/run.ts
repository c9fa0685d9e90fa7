/**
 * One run of a tracker: one connection to the slot, from START_REPLICATION until anything goes wrong. What went wrong is
 * never mended here: the run ends, and the next one begins from what was acknowledged.
 */

import { randomBytes } from 'node:crypto'

import type pg from 'pg'

import type { Logger } from '../../core/log.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'
import { cutConnection } from '../../engines/postgres/client-state.ts'
import { StreamDecoder } from '../../engines/postgres/changes/decoder.ts'
import { readFrame } from '../../engines/postgres/changes/frames.ts'
import { forgetSlots } from '../../engines/postgres/changes/installation.ts'
import { emitBeat, isSynchronous, readSnapshot, readStanding } from '../../engines/postgres/changes/observation.ts'
import type { ReplicationConnection } from '../../engines/postgres/changes/replication-connection.ts'
import { readLineage, type Tracking } from '../../engines/postgres/changes/tables.ts'
import { Visibility } from '../../engines/postgres/changes/visibility.ts'
import type { Store } from '../../store/store.ts'
import { Collector } from './collector.ts'
import { CoverageState } from './coverage-state.ts'
import { StreamBroken, StreamRefused } from './errors.ts'
import { FrameQueue } from './frame-queue.ts'
import { Publisher } from './publisher.ts'
import { TableKeeper } from './table-keeper.ts'
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
const healthyWithinMs = 5000
const watchEveryMs = 200
const snapshotGapMs = 5
const longestSnapshotGapMs = 50
const acknowledgeEveryMs = 10

const maxWeight = 1_000_000
const maxPending = 200_000

const closeGraceMs = 1000

/** Ends a connection, and cuts it where the server does not answer. */
export async function closeClient(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => cutConnection(client), closeGraceMs)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

export class Run {
  readonly #parts: RunParts
  readonly #options: RunOptions
  readonly #collector: Collector
  readonly #publisher: Publisher
  readonly #visibility: Visibility
  readonly #coverage = new CoverageState()
  readonly #keeper: TableKeeper
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly ended: Promise<Error>
  #end: (error: Error) => void = () => undefined
  #over = false
  #acknowledged: Lsn
  #acknowledgeSoon = false
  #beats = new Map<number, number>()
  #beat = 0
  #members: string | null = null
  #ddl = 0
  #waking = false
  #looking = false
  #looked = 0

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
  }

  /** Everything that was received so far is looked at from here on. */
  async start(): Promise<void> {
    await this.#keeper.verify()
    await this.#readWatchList()
    const decoder = new StreamDecoder(this.#collector)
    this.#parts.queue.open((frame) => this.#take(decoder, frame))
    this.#every(watchEveryMs, () => this.#readWatchList())
    this.#every(beatEveryMs, () => this.#check())
    // Also says that this side is alive, whatever the other connections wait for.
    this.#every(beatEveryMs, async () => this.#parts.connection.acknowledge(this.#acknowledged, true))
    this.#publisher.wake()
    this.#look()
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
      healthy: !this.#over && this.#oldestBeatMs() < healthyWithinMs,
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
    await Promise.all([observer, keeper].map(closeClient))
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#publisher.stop()
    this.#parts.queue.close()
    for (const timer of this.#timers) clearTimeout(timer)
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
        for (const known of this.#beats.keys()) if (known <= beat) this.#beats.delete(known)
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
      this.#publisher.wake()
      this.#look()
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
    this.#after(acknowledgeEveryMs, () => {
      this.#acknowledgeSoon = false
      this.#acknowledged = Math.min(this.#publisher.published, this.#visibility.visible)
      this.#parts.connection.acknowledge(this.#acknowledged)
    })
  }

  /** Looks whether what was received is visible: one statement at a time, less often while nothing comes of it. */
  #look(): void {
    if (this.#looking || this.#over || !this.#visibility.isWaiting) return
    this.#looking = true
    const gap = Math.min(longestSnapshotGapMs, snapshotGapMs * 2 ** Math.min(this.#looked, 10))
    const since = performance.now()
    void this.#observe().then(
      (changed) => {
        this.#looked = changed ? 0 : this.#looked + 1
        this.#after(Math.max(0, gap - (performance.now() - since)), () => {
          this.#looking = false
          this.#look()
        })
      },
      (error: unknown) => this.#fail(error),
    )
  }

  async #observe(): Promise<boolean> {
    const mark = this.#visibility.mark()
    const before = this.#visibility.visible
    const { snapshot, epoch } = await readSnapshot(this.#parts.observer)
    if (this.#over) return false
    this.#mustBe(epoch)
    this.#visibility.observe(snapshot, mark)
    this.#visibility.compact()
    this.#press()
    if (this.#visibility.visible === before) return false
    this.#publisher.wake()
    this.#acknowledge()
    return true
  }

  #mustBe(epoch: Epoch | null): void {
    if (epoch !== this.#parts.epoch) throw new Error('the server has another epoch')
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

  async #check(): Promise<void> {
    const { observer, slot, connection, fingerprint } = this.#parts
    const standing = await readStanding(observer, slot)
    this.#mustBe(standing.epoch)
    if (isSynchronous(standing.synchronous)) throw new StreamRefused('synchronous_standby_names has the tracker in it')
    if (standing.fingerprint !== fingerprint) {
      await forgetSlots(observer)
      throw new StreamBroken('the publication or the event triggers were changed')
    }
    if (standing.slotPid !== connection.pid) throw new Error('the slot is not held by this connection any more')
    if (this.#members !== standing.members) {
      this.#members = standing.members
      void this.#keeper.verify()
    }
    this.#beat += 1
    this.#beats.set(this.#beat, performance.now())
    await emitBeat(observer, this.#beat)
    this.#watchSilence()
    this.#publisher.wake()
  }

  #oldestBeatMs(): number {
    const [first] = this.#beats.values()
    return first === undefined ? 0 : performance.now() - first
  }

  /** FRESHNESS rule 13. A heartbeat may stand behind a transaction of millions of rows: then others arrive. */
  #watchSilence(): void {
    const { silenceMs } = this.#options
    if (this.#oldestBeatMs() < healthyWithinMs || this.#parts.queue.silentMs < silenceMs) return
    throw new Error(`nothing came from the server for ${silenceMs} ms`)
  }

  #after(ms: number, work: () => void): void {
    if (this.#over) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!this.#over) work()
    }, ms)
    this.#timers.add(timer)
  }

  /** Again and again, each time after the one before was done. */
  #every(ms: number, work: () => Promise<void>): void {
    this.#after(ms, () => {
      work().then(
        () => this.#every(ms, work),
        (error: unknown) => this.#fail(error),
      )
    })
  }
}
