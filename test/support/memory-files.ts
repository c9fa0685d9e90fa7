/** A driver of files in this process's memory, for tests of what all drivers have in common: it counts, and fails to order. */

import type { FileDriver, FileFacts, FoundFile } from '../../src/files/driver.ts'

export interface MemoryFiles extends FileDriver {
  readonly kept: Map<string, { readonly facts: FileFacts; readonly bytes: Buffer }>
  /** Pieces that were read so far. */
  piecesRead: number
  /** Pieces that are staged and not finished. */
  staged: number
  /** Bytes that reads leave out at the end. */
  missingBytes: number
  /** What the next reads and writes wait for. */
  hold: Promise<void> | null
}

export function createMemoryFiles(pieceBytes = 1000): MemoryFiles {
  const driver: MemoryFiles = {
    kept: new Map(),
    piecesRead: 0,
    staged: 0,
    missingBytes: 0,
    hold: null,
    pieceBytes,
    leftoverAgeMs: 3_600_000,
    stage: () => {
      const pieces: Uint8Array[] = []
      return {
        write: async (piece) => {
          await driver.hold
          pieces.push(Uint8Array.from(piece))
          driver.staged += 1
        },
        finish: async (facts, last) => {
          driver.kept.set(facts.name, { facts, bytes: Buffer.concat([...pieces, last]) })
          driver.staged -= pieces.length
        },
        discard: async () => void (driver.staged -= pieces.length),
      }
    },
    find: async (name) => {
      const found = driver.kept.get(name)
      if (found === undefined) return null
      const read: FoundFile['read'] = async function* ({ start, end }) {
        for (let at = start; at < end - driver.missingBytes; at += pieceBytes) {
          await driver.hold
          driver.piecesRead += 1
          yield found.bytes.subarray(at, Math.min(at + pieceBytes, end - driver.missingBytes))
        }
      }
      return { ...found.facts, read }
    },
    remove: async (name) => driver.kept.delete(name),
    sweep: async () => 0,
    close: async () => undefined,
  }
  return driver
}
