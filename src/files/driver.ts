/**
 * What keeps the files: the interface of drivers, with the semantics that hold for each of them.
 *
 * - `finish` is atomic: until it resolves no reader finds the file, and from then on every reader of every process does.
 *   Where the same bytes are there already, it resolves all the same and one copy stays.
 * - Nothing holds a connection between two calls: a slow sender costs its pieces and nothing else.
 * - What a dead process staged is found by `sweep` by its age. A stage that was swept cannot be finished any more:
 *   `finish` is then FF_FILES_SWEPT, and nothing is there.
 * - `close` may be called twice, and closes only what the driver opened.
 */

import type { ByteRange } from './files.ts'

/** What is written down about a file. */
export interface FileFacts {
  /** 64 hexadecimal digits. */
  readonly name: string
  /** In bytes. */
  readonly size: number
  readonly type: string
}

/** A file on its way in. Calls follow one another. */
export interface Stage {
  /** Takes a piece of exactly `pieceBytes` bytes, that is not the last one. It is written over once this has resolved. */
  write(piece: Uint8Array, signal: AbortSignal): Promise<void>
  /** Takes the last piece, of 0 to `pieceBytes` bytes, and gives the file its name. */
  finish(facts: FileFacts, last: Uint8Array, signal: AbortSignal): Promise<void>
  /** Takes away what was written, as far as that is possible now. Does not reject for what `sweep` will find. */
  discard(): Promise<void>
}

/** A file that is there. */
export interface FoundFile extends FileFacts {
  /** The bytes of a range within the file, in pieces as the driver likes them. Rejects where bytes are missing. */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface FileDriver {
  /** The size of pieces. */
  readonly pieceBytes: number
  /** How old what is staged must be for nobody to be still at it. */
  readonly leftoverAgeMs: number
  stage(): Stage
  find(name: string, signal: AbortSignal): Promise<FoundFile | null>
  /** False: there was none. */
  remove(name: string, signal: AbortSignal): Promise<boolean>
  /** Takes away some of what is staged and older; answers how many contents. */
  sweep(olderThanMs: number, signal: AbortSignal): Promise<number>
  close(): Promise<void>
}
