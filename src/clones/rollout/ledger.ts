/**
 * Which build was in service, written down before a balancer is told: `builds/ledger.json` in the data directory. The
 * next start decides by it, and by nothing else, which build it runs.
 *
 * What a reader was shown is never more than what stands here, so whatever the supervisor dies of, the start after it
 * goes to an ordinal that no reader is above.
 */

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { buildsFolder } from '../build/snapshot.ts'
import type { Admission } from '../protocol.ts'

export interface LedgerRecord {
  readonly admission: Admission
  /** The system was stopped as it should be: nobody was in the middle of anything. */
  readonly stopped: boolean
  /** The build that was taken back last, by its errors or because the supervisor died in the middle of its rollout. */
  readonly takenBack: string | null
}

export interface Ledger {
  /** Null where there is none, or none that can be read. */
  read(): LedgerRecord | null
  write(record: LedgerRecord): void
}

export function openLedger(dataDir: string): Ledger {
  const path = join(buildsFolder(dataDir), 'ledger.json')
  return {
    read: () => {
      try {
        const record = JSON.parse(readFileSync(path, 'utf8')) as LedgerRecord
        return typeof record.admission.current.ordinal === 'number' ? record : null
      } catch {
        return null
      }
    },
    write: (record) => {
      mkdirSync(buildsFolder(dataDir), { recursive: true })
      const file = openSync(`${path}.new`, 'w')
      try {
        writeSync(file, JSON.stringify(record, null, 2))
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(`${path}.new`, path)
    },
  }
}

export interface Beginning {
  readonly admission: Admission
  readonly takenBack: string | null
  /** Why it is not the build of the files as they are now, in words for people; null: it is. */
  readonly because: string | null
}

/**
 * Which build a start runs. The one of the files as they are now, except where nobody decided that it should serve: the
 * supervisor died while it was rolled out, or after it was taken back.
 *
 * @param files the build of the files as they are now
 */
export function beginWith(record: LedgerRecord | null, files: string): Beginning {
  if (record === null)
    return { admission: { current: { id: files, ordinal: 1 }, share: 0 }, takenBack: null, because: null }
  const { admission, stopped } = record
  const { current, next } = admission
  const interrupted = next !== undefined && !stopped
  const takenBack = interrupted ? next.id : record.takenBack
  // Above everything that a reader may have been shown.
  const above = (next?.ordinal ?? current.ordinal) + 1
  const again = next === undefined ? current : { id: current.id, ordinal: above }
  if (current.id === files) return { admission: { current: again, share: 0 }, takenBack, because: null }
  if (!stopped && files === takenBack) {
    const because = interrupted
      ? 'its supervisor died while it was rolled out'
      : 'it was taken back, and no rollout has brought it again'
    return { admission: { current: again, share: 0 }, takenBack, because }
  }
  return { admission: { current: { id: files, ordinal: above }, share: 0 }, takenBack: null, because: null }
}
