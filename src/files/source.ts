/** Where the bytes of a file come from, as pieces of one size. */

import { Readable } from 'node:stream'
import { withDeadline } from '../core/deadline.ts'
import { FourfoldError } from '../core/errors.ts'
import type { FileSource } from './files.ts'

export interface ReadSourceOptions {
  /** A source that sends nothing for so long is given up. */
  readonly stallMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The bytes of a source, as they come. The source is neither destroyed nor cancelled where reading ends early: of a
 * request, the answer still has to go out.
 *
 * @throws FF_FILES_INCOMPLETE where the source fails or sends nothing; `signal.reason`
 */
export async function* readSource(source: FileSource, options: ReadSourceOptions): AsyncGenerator<Uint8Array> {
  const { stallMs, signal } = options
  const iterator = iterate(source)
  try {
    for (;;) {
      const next = await nextOf(iterator, stallMs, signal)
      if (next.done === true) return refuseCut(source)
      if (!(next.value instanceof Uint8Array)) throw notBytes(next.value)
      if (next.value.byteLength > 0) yield next.value
    }
  } finally {
    // Lets go of a stream, so that others can read on. Not waited for: it may wait for what never comes.
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

/** Parsers of forms that have a limit of their own end a file there as if it were whole, and note it. */
function refuseCut(source: FileSource): void {
  if ((source as { truncated?: unknown }).truncated !== true) return
  const message = 'The file is larger than the parser of the form lets through: raise its limit, or send a smaller one'
  throw new FourfoldError('FF_FILES_TOO_LARGE', message)
}

/**
 * Joins and cuts bytes to pieces of `pieceBytes`; the last one is shorter, and there is always one. A piece is good until
 * the one after the next is asked for: two places take turns, since each new one would be garbage for a while.
 */
export async function* cutPieces(bytes: AsyncIterable<Uint8Array>, pieceBytes: number): AsyncGenerator<Uint8Array> {
  let [piece, other] = [new Uint8Array(0), new Uint8Array(0)]
  let filled = 0
  for await (const some of bytes) {
    let rest = some
    while (rest.byteLength > 0) {
      // A full piece goes out only when more comes, so that the last one is told apart.
      if (filled === pieceBytes) {
        yield piece
        ;[piece, other] = [other, piece]
        filled = 0
      }
      const taken = rest.subarray(0, pieceBytes - filled)
      piece = withRoom(piece, filled, filled + taken.byteLength, pieceBytes)
      piece.set(taken, filled)
      filled += taken.byteLength
      rest = rest.subarray(taken.byteLength)
    }
  }
  yield piece.subarray(0, filled)
}

/** Grows by doubling: a small file should not cost a whole piece. */
function withRoom(
  piece: Uint8Array<ArrayBuffer>,
  filled: number,
  needed: number,
  most: number,
): Uint8Array<ArrayBuffer> {
  if (piece.byteLength >= needed) return piece
  const grown = new Uint8Array(Math.min(most, Math.max(needed, piece.byteLength * 2)))
  grown.set(piece.subarray(0, filled))
  return grown
}

async function nextOf(
  iterator: AsyncIterator<unknown> | Iterator<unknown>,
  stallMs: number,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<unknown>> {
  signal?.throwIfAborted()
  try {
    const next = Promise.resolve(iterator.next())
    return await withDeadline(signal === undefined ? next : orAborted(next, signal), stallMs, 'the file to be sent')
  } catch (error) {
    signal?.throwIfAborted()
    throw new FourfoldError(
      'FF_FILES_INCOMPLETE',
      `The file did not come to its end (${String(error)}): send it again`,
      {
        cause: error,
      },
    )
  }
}

/** Work that counts as over when its caller gives up. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function iterate(source: FileSource): AsyncIterator<unknown> | Iterator<unknown> {
  if (source instanceof Uint8Array) return [source][Symbol.iterator]()
  if (source instanceof ArrayBuffer) return [new Uint8Array(source)][Symbol.iterator]()
  if (typeof source !== 'object' || source === null) throw notBytes(source)
  if (isTaken(source)) throw readAlready()
  if (source instanceof Readable) return source.iterator({ destroyOnReturn: false })
  if (source instanceof Blob) return source.stream().values()
  if (source instanceof ReadableStream) return source.values({ preventCancel: true })
  if ('body' in source)
    return source.body === null ? [][Symbol.iterator]() : source.body.values({ preventCancel: true })
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]()
  if (Symbol.iterator in source) return source[Symbol.iterator]()
  throw notBytes(source)
}

/** Whoever read it, such as a parser of bodies, left nothing of it: it would pass for an empty file. */
function isTaken(source: object): boolean {
  if (source instanceof Readable) return source.readableEnded
  if (source instanceof ReadableStream) return source.locked
  const { bodyUsed, body } = source as { bodyUsed?: unknown; body?: { readonly locked?: unknown } | null }
  return bodyUsed === true || body?.locked === true
}

function readAlready(): FourfoldError {
  return new FourfoldError('FF_FILES_ARGUMENT', 'Expected a file that nobody has read; got one that is read already')
}

function notBytes(value: unknown): FourfoldError {
  const got = value === null ? 'null' : typeof value
  const message = `Expected the bytes of a file: a Uint8Array, Blob, Request, stream or pieces of bytes; got ${got}`
  return new FourfoldError('FF_FILES_ARGUMENT', message)
}
