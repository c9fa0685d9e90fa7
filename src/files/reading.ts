/** A stored file as a stream. */

import { Readable } from 'node:stream'
import { withDeadline } from '../core/deadline.ts'
import { FourfoldError } from '../core/errors.ts'
import type { FoundFile } from './driver.ts'
import type { ByteRange } from './files.ts'

/**
 * Begins to read before it answers: what fails at once is an error, not a broken stream. Reads ahead one piece at most,
 * and stops the driver when the stream is destroyed.
 */
export async function openStream(
  found: FoundFile,
  range: ByteRange,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<Readable> {
  const ending = new AbortController()
  const pieces = readWhole(found, range, deadlineMs, ending.signal)
  const first = await pieces.next()
  const all = async function* (): AsyncGenerator<Uint8Array> {
    if (first.done !== true) yield first.value
    yield* pieces
  }
  const stream = Readable.from(all(), { objectMode: false, highWaterMark: 1, ...(signal && { signal }) })
  stream.once('close', () => {
    ending.abort()
    pieces.return(undefined).catch(() => undefined)
  })
  return stream
}

async function* readWhole(
  found: FoundFile,
  range: ByteRange,
  deadlineMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { start, end } = range
  let left = end - start
  if (left === 0) return
  const iterator = found.read(range, signal)[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await withDeadline(iterator.next(), deadlineMs, 'a piece of a file')
      if (done === true) break
      left -= value.byteLength
      if (left < 0) break
      yield value
    }
  } finally {
    // Not waited for: a piece that hangs must not hold up who gave it up.
    iterator.return?.().catch(() => undefined)
  }
  if (left !== 0) throw damaged(found.name)
}

/** What a reader gets of a file whose bytes are not all there. */
function damaged(name: string): FourfoldError {
  const message = `Bytes of the file ${name} are missing: something other than Fourfold changed its place; put the file again`
  return new FourfoldError('FF_FILES_DAMAGED', message, { fields: { name } })
}

/** @throws FF_FILES_ARGUMENT unless the range lies within the file */
export function refuseBeyond({ start, end }: ByteRange, size: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= size) return
  const message = `Expected a range within the file's ${size} bytes, got ${start} to ${end}`
  throw new FourfoldError('FF_FILES_ARGUMENT', message)
}
