/**
 * The embedded store's log: what it has acknowledged is in this file.
 *
 * Invariants (the argument is in docs/decisions/020-store-log.md):
 * - `append` has handed the bytes to the kernel when it returns, so they outlive this process. Only then may the
 *   operations be answered. The disc follows within about a second.
 * - A log that could not be written to is not written to again: the server ends, and the next one reads what is there.
 * - The incarnation changes when acknowledged operations may be missing: a new log, a damaged one, or one that was
 *   not closed in an earlier boot of the machine.
 * - Compaction writes a second file and renames it over the first at a moment when both hold everything.
 */

import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { FourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { compactLog, type Compaction } from './compaction.ts'
import { formatVersion, readableVersions, type Effect } from './effects.ts'
import { encodeRecord, readRecords, type LogEnd } from './records.ts'
import type { StoreState } from './state.ts'

const flush = promisify(fdatasync)

export interface StoreLogOptions {
  readonly path: string
  /** Gets the log's effects replayed, and is asked for snapshots. */
  readonly state: StoreState
  readonly log: Logger
  /** A log below this size is not compacted. Default: 8 MiB. */
  readonly compactBytes?: number
  /** How often the disc is asked to follow. Default: 1,000 ms. */
  readonly flushMs?: number
}

interface Known {
  incarnation: string | null
  boot: string | null
  closed: boolean
}

export class StoreLog {
  incarnation: string
  private readonly options: StoreLogOptions
  private file: number
  private size: number
  private compactAt: number
  private compaction: Compaction | null = null
  private dirty = false
  private flushing: Promise<void> = Promise.resolve()
  private readonly timer: NodeJS.Timeout

  private constructor(options: StoreLogOptions, file: number, size: number, incarnation: string) {
    this.options = options
    this.file = file
    this.size = size
    this.incarnation = incarnation
    this.compactAt = this.nextCompaction(0)
    this.timer = setInterval(() => this.flush(), options.flushMs ?? 1000)
  }

  /** Reads a log into the state, or starts a new one. The caller holds the log's guard. Throws FF_STORE_LOG. */
  static open(options: StoreLogOptions): StoreLog {
    rmSync(compactedPath(options.path), { force: true })
    const file = openLogFile(options.path)
    try {
      return StoreLog.read(options, file)
    } catch (error) {
      closeSync(file)
      throw error
    }
  }

  private static read(options: StoreLogOptions, file: number): StoreLog {
    const known: Known = { incarnation: null, boot: null, closed: false }
    const end = readRecords(file, (effects) => {
      for (const effect of effects) learn(known, effect, options)
    })
    if (known.incarnation === null && (end.offset > 0 || end.state === 'damaged')) {
      throw unreadable(options.path, 'it does not begin as a log does; give another path, or take the file away')
    }
    if (end.state !== 'whole') cutOff(file, end, options)
    const boot = bootId()
    const complete = end.state !== 'damaged' && (known.closed || (boot !== null && known.boot === boot))
    const incarnation = complete && known.incarnation !== null ? known.incarnation : randomUUID()
    if (known.incarnation !== null && incarnation !== known.incarnation) {
      options.log.warn({ path: options.path }, 'the newest entries of the store may be missing: its incarnation is new')
    }
    writeWhole(file, encodeRecord(heading(incarnation)))
    fsyncSync(file)
    return new StoreLog(options, file, fstatSync(file).size, incarnation)
  }

  /** Hands effects to the kernel, in both files while the log is being compacted. Throws when that fails. */
  append(effects: readonly Effect[]): void {
    const record = encodeRecord(effects)
    writeWhole(this.file, record)
    this.size += record.length
    this.dirty = true
    this.compaction?.append(record)
    if (this.compaction === null && this.size > this.compactAt) this.compact()
  }

  /** Brings everything to the disc and marks the log as complete. */
  async close(): Promise<void> {
    clearInterval(this.timer)
    await this.compaction?.cancel()
    await this.flushing
    writeWhole(this.file, encodeRecord([['closed']]))
    fsyncSync(this.file)
    closeSync(this.file)
  }

  /** Gives the file up without a word, after a write that failed. */
  abandon(): void {
    clearInterval(this.timer)
    void Promise.allSettled([this.compaction?.cancel(), this.flushing]).then(() => closeSync(this.file))
  }

  /** One at a time, and in the order of the files: a file is closed only behind its last flush. */
  private flush(): void {
    if (!this.dirty) return
    this.dirty = false
    this.flushing = this.flushing
      .then(() => flush(this.file))
      .catch((error: unknown) => {
        this.dirty = true
        this.options.log.error({ error, path: this.options.path }, 'the disc does not take the log of the store')
      })
  }

  private compact(): void {
    const { path, state, log } = this.options
    this.compaction = compactLog({
      path: compactedPath(path),
      target: path,
      head: heading(this.incarnation),
      snapshot: state.snapshot(),
      onDone: (compacted) => {
        this.compaction = null
        if (compacted === null) {
          this.compactAt = this.size * 2
          return log.warn({ path }, 'the log of the store could not be compacted; it goes on growing')
        }
        log.info({ path, from: this.size, to: compacted.size }, 'compacted the log of the store')
        this.swap(compacted.file, compacted.size)
      },
    })
  }

  private swap(file: number, size: number): void {
    const old = this.file
    this.file = file
    this.size = size
    this.dirty = true
    this.compactAt = this.nextCompaction(size)
    void this.flushing.then(() => closeSync(old))
  }

  private nextCompaction(size: number): number {
    return Math.max(this.options.compactBytes ?? 8 * 1024 * 1024, size * 2)
  }
}

/** write(2) may take less than it is given. */
export function writeWhole(file: number, bytes: Buffer): void {
  let written = 0
  while (written < bytes.length) written += writeSync(file, bytes, written)
}

function compactedPath(path: string): string {
  return `${path}.next`
}

function openLogFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600)
  } catch (error) {
    throw unreadable(path, 'it cannot be opened', error)
  }
}

/** What a log begins with, and what every server adds that opens it. */
function heading(incarnation: string): Effect[] {
  return [
    ['incarnation', incarnation, formatVersion],
    ['opened', bootId() ?? ''],
  ]
}

function learn(known: Known, effect: Effect, options: StoreLogOptions): void {
  known.closed = effect[0] === 'closed'
  if (effect[0] === 'opened') known.boot = effect[1]
  if (effect[0] !== 'incarnation') return options.state.replay(effect)
  if (!readableVersions.includes(effect[2])) {
    throw unreadable(options.path, `it is of format ${effect[2]}, this build reads ${readableVersions.join(' and ')}`)
  }
  known.incarnation = effect[1]
}

/** Ends the file where it is whole. What a disc damaged is kept beside it, for whoever wants to look. */
function cutOff(file: number, end: LogEnd, options: StoreLogOptions): void {
  const rest = Buffer.alloc(fstatSync(file).size - end.offset)
  readSync(file, rest, 0, rest.length, end.offset)
  const fields = { path: options.path, offset: end.offset, bytes: rest.length }
  if (end.state === 'torn') {
    options.log.warn(fields, 'cut off an unfinished record at the end of the log; nobody had been told of it')
  } else {
    writeFileSync(`${options.path}.damaged`, rest, { mode: 0o600 })
    options.log.error(fields, 'the log of the store is damaged from here on; the rest is kept as .damaged')
  }
  ftruncateSync(file, end.offset)
}

/** Which boot of the machine this is, or null where the system does not tell: then only a closed log counts as complete. */
function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}

function unreadable(path: string, why: string, cause?: unknown): FourfoldError {
  return new FourfoldError('FF_STORE_LOG', `${path} cannot serve as the log of the store: ${why}`, {
    cause,
    fields: { path },
  })
}
