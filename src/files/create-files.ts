/**
 * `ff.files` over a driver: what is the same wherever files are kept. Bytes are hashed, counted and looked at while
 * they flow; every call of the driver has a deadline.
 */

import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { withDeadline } from '../core/deadline.ts'
import { FourfoldError } from '../core/errors.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import { answerFile } from './answer.ts'
import type { FileDriver, FileFacts, FoundFile } from './driver.ts'
import type { ByteRange, Files, FileSource, OpenedFile, PutOptions, StoredFile } from './files.ts'
import { cutPieces, readSource } from './source.ts'
import { refuseOtherTypes, sniffType } from './type.ts'
import { respondFile } from './respond.ts'

export interface CreateFilesOptions {
  readonly driver: FileDriver
  /** The most bytes that `put` takes where it is told nothing else. Default: 8 MiB. */
  readonly maxBytes?: number
  /** The path under which files are served. Default: `/files`. */
  readonly path?: string
  /** How long one call of the driver may take. Default: 30 s; naming a large file may take longer. */
  readonly deadlineMs?: number
  /** How long a source may send nothing. Default: a minute. */
  readonly stallMs?: number
  /** Told that something was put or removed, so that what others left behind is looked for. Default: nobody. */
  readonly changed?: () => void
  readonly log?: Logger
}

const defaultMaxBytes = 8 * 1024 ** 2
/** A store that copies a file to give it its name does at least so much in a second. */
const namedBytesPerMs = 10_000

export function createFiles(options: CreateFilesOptions): Files {
  const { driver, maxBytes = defaultMaxBytes, path = '/files', deadlineMs = 30_000, stallMs = 60_000 } = options
  const { changed = () => undefined, log = silentLogger } = options
  const url = (name: string): string => `${path}/${name}`
  const describe = ({ name, size, type }: FileFacts): StoredFile => ({ name, size, type, url: url(name) })
  const find = async (name: string): Promise<FoundFile | null> =>
    isName(name) ? await withDeadline((signal) => driver.find(name, signal), deadlineMs, 'a file to be found') : null

  async function put(
    source: FileSource,
    { maxBytes: most = maxBytes, accept, signal }: PutOptions = {},
  ): Promise<StoredFile> {
    const intake = new Intake(most)
    const stage = driver.stage()
    const within = (work: (ending: AbortSignal) => Promise<void>, ms = deadlineMs): Promise<void> =>
      withDeadline(work, ms, 'a piece of a file to be taken')
    try {
      let held: Uint8Array | null = null
      let type = ''
      for await (const piece of cutPieces(intake.follow(readSource(source, { stallMs, signal })), driver.pieceBytes)) {
        if (held === null) refuseOtherTypes((type = await sniffType(piece)), accept)
        else await within((ending) => stage.write(held as Uint8Array, ending))
        held = piece
      }
      const facts = { name: intake.name(), size: intake.size, type }
      const last = held ?? new Uint8Array(0)
      signal?.throwIfAborted()
      await within((ending) => stage.finish(facts, last, ending), deadlineMs + facts.size / namedBytesPerMs)
      return describe(facts)
    } catch (error) {
      await withDeadline(stage.discard(), deadlineMs, 'an upload to be taken back').catch((failure: unknown) =>
        log.warn({ error: failure }, 'an upload could not be taken back; it will be swept'),
      )
      throw error
    } finally {
      changed()
    }
  }

  async function get(
    name: string,
    { range, signal }: { range?: ByteRange; signal?: AbortSignal } = {},
  ): Promise<OpenedFile | null> {
    const found = await find(name)
    if (found === null) return null
    const wanted = range ?? { start: 0, end: found.size }
    refuseBeyond(wanted, found.size)
    signal?.throwIfAborted()
    return { ...describe(found), range: wanted, stream: await openStream(found, wanted, deadlineMs, signal) }
  }

  const files: Files = {
    put,
    get,
    url,
    head: async (name) => {
      const found = await find(name)
      return found === null ? null : describe(found)
    },
    remove: async (name) => {
      if (!isName(name)) return false
      try {
        return await withDeadline((signal) => driver.remove(name, signal), deadlineMs, 'a file to be removed')
      } finally {
        changed()
      }
    },
    answer: (request, name, answerOptions = {}) => answerFile(files, request, name, answerOptions),
    respond: (request, name, answerOptions = {}) => respondFile(files, request, name, answerOptions),
    sweep: (olderThanMs = driver.leftoverAgeMs) =>
      withDeadline((signal) => driver.sweep(olderThanMs, signal), deadlineMs, 'leftovers to be swept'),
  }
  return files
}

/** Hashes and counts what flows through, and stops what is too large. */
class Intake {
  readonly #hash = createHash('sha256')
  readonly #maxBytes: number
  size = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  async *follow(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const some of bytes) {
      this.size += some.byteLength
      if (this.size > this.#maxBytes) {
        const message = `The file is larger than the ${this.#maxBytes} bytes that are taken here`
        throw new FourfoldError('FF_FILES_TOO_LARGE', message, { fields: { maxBytes: this.#maxBytes } })
      }
      this.#hash.update(some)
      yield some
    }
  }

  name(): string {
    return this.#hash.digest('hex')
  }
}

/**
 * Begins to read before it answers: what fails at once is an error, not a broken stream. Reads ahead one piece at most,
 * and stops the driver when the stream is destroyed.
 */
async function openStream(
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
export function damaged(name: string): FourfoldError {
  const message = `Bytes of the file ${name} are missing: something other than Fourfold changed its place; put the file again`
  return new FourfoldError('FF_FILES_DAMAGED', message, { fields: { name } })
}

function refuseBeyond({ start, end }: ByteRange, size: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= size) return
  const message = `Expected a range within the file's ${size} bytes, got ${start} to ${end}`
  throw new FourfoldError('FF_FILES_ARGUMENT', message)
}

function isName(name: string): boolean {
  return typeof name === 'string' && /^[\da-f]{64}$/.test(name)
}
