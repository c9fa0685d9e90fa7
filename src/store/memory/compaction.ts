/**
 * Writes a log anew, shorter, while the store goes on serving.
 *
 * The new file gets the snapshot in portions, and between them every group commit that the old file gets too. When
 * the snapshot is drawn and on the disc, both files hold everything acknowledged, and the new one takes the old
 * one's name. Whoever is killed before the rename leaves a whole old log and a file that the next start removes;
 * whoever is killed after it leaves a whole new log.
 */

import { closeSync, fdatasync, fsync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import type { Effect } from './effects.ts'
import { encodeRecord } from './records.ts'

const flush = promisify(fdatasync)
const flushDirectory = promisify(fsync)
/** One portion: about a millisecond's work, so that nobody waits long behind it. */
const effectsPerPortion = 400

export interface CompactionOptions {
  readonly path: string
  readonly target: string
  /** What the new log begins with. */
  readonly head: readonly Effect[]
  readonly snapshot: Iterator<Effect>
  /** Called once, unless cancelled, in the same turn as the rename; null when it failed and the old log stays. */
  readonly onDone: (compacted: { file: number; size: number } | null) => void
}

export interface Compaction {
  /** A group commit that the old log has taken. */
  append(record: Buffer): void
  /** Gives up, unless the rename is done. Resolves when nothing is under way any more. */
  cancel(): Promise<void>
}

export function compactLog(options: CompactionOptions): Compaction {
  return new RunningCompaction(options)
}

class RunningCompaction implements Compaction {
  private readonly options: CompactionOptions
  private file = -1
  private size = 0
  private over = false
  private flushing = false
  private readonly done: Promise<void>

  constructor(options: CompactionOptions) {
    this.options = options
    this.done = this.run().catch(() => this.giveUp(true))
  }

  append(record: Buffer): void {
    if (this.over) return
    try {
      this.write(record)
    } catch {
      this.giveUp(true)
    }
  }

  cancel(): Promise<void> {
    this.giveUp(false)
    return this.done
  }

  private async run(): Promise<void> {
    // The caller sets itself up first: nothing is reported within the call that started this.
    await nextTurn()
    if (this.over) return
    this.file = openSync(this.options.path, 'ax', 0o600)
    this.write(encodeRecord(this.options.head))
    while (!this.over && this.writePortion()) await nextTurn()
    if (this.over) return
    this.flushing = true
    await flush(this.file).finally(() => {
      this.flushing = false
      if (this.over) closeSync(this.file)
    })
    if (this.over) return
    renameSync(this.options.path, this.options.target)
    this.over = true
    this.options.onDone({ file: this.file, size: this.size })
    await flushName(this.options.target)
  }

  /** Whether there is more. */
  private writePortion(): boolean {
    const effects: Effect[] = []
    while (effects.length < effectsPerPortion) {
      const next = this.options.snapshot.next()
      if (next.done === true) break
      effects.push(next.value)
    }
    if (effects.length > 0) this.write(encodeRecord(effects))
    return effects.length === effectsPerPortion
  }

  private write(record: Buffer): void {
    if (this.file === -1) return
    let written = 0
    while (written < record.length) written += writeSync(this.file, record, written)
    this.size += record.length
  }

  private giveUp(report: boolean): void {
    if (this.over) return
    this.over = true
    if (this.file !== -1 && !this.flushing) closeSync(this.file)
    rmSync(this.options.path, { force: true })
    if (report) this.options.onDone(null)
  }
}

/** Makes a rename last through a loss of power. */
async function flushName(path: string): Promise<void> {
  const directory = openSync(dirname(path), 'r')
  try {
    await flushDirectory(directory)
  } finally {
    closeSync(directory)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
