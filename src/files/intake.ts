/**
 * A file on its way in: hashed, counted and looked at while it flows, and handed to the driver piece by piece. One piece
 * is held back, since the last one goes together with the name.
 */

import { createHash } from 'node:crypto'
import { withDeadline } from '../core/deadline.ts'
import { FourfoldError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { FileDriver, FileFacts, Stage } from './driver.ts'
import type { FileSource, PutOptions } from './files.ts'
import { cutPieces, orAborted, readSource } from './source.ts'
import { refuseOtherTypes, sniffType } from './type.ts'

export interface IntakeOptions extends PutOptions {
  readonly driver: FileDriver
  readonly maxBytes: number
  readonly deadlineMs: number
  readonly stallMs: number
  readonly log: Logger
}

/** A store that copies a file to give it its name does at least so much in a second. */
const namedBytesPerMs = 10_000

/** Puts a file, or leaves nothing behind. */
export async function takeIn(source: FileSource, options: IntakeOptions): Promise<FileFacts> {
  const stage = options.driver.stage()
  try {
    return await fill(stage, source, options)
  } catch (error) {
    await withDeadline(stage.discard(), options.deadlineMs, 'an upload to be taken back').catch((failure: unknown) =>
      options.log.warn({ error: failure }, 'an upload could not be taken back; it will be swept'),
    )
    options.signal?.throwIfAborted()
    throw error
  }
}

async function fill(stage: Stage, source: FileSource, options: IntakeOptions): Promise<FileFacts> {
  const { driver, maxBytes, accept, signal, deadlineMs } = options
  const intake = new Intake(maxBytes)
  const bytes = intake.follow(readSource(source, options))
  let held: Uint8Array | null = null
  let type = ''
  for await (const piece of cutPieces(bytes, driver.pieceBytes)) {
    if (held === null) refuseOtherTypes((type = await sniffType(piece)), accept)
    else await within((ending) => stage.write(held as Uint8Array, ending), deadlineMs, signal)
    held = piece
  }
  const facts = { name: intake.name(), size: intake.size, type }
  const last = held ?? new Uint8Array(0)
  await within((ending) => stage.finish(facts, last, ending), deadlineMs + facts.size / namedBytesPerMs, signal)
  return facts
}

/** A call of the driver, until its time is over or the caller gives up. */
async function within(
  work: (ending: AbortSignal) => Promise<void>,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const call = (late: AbortSignal): Promise<void> => {
    if (signal === undefined) return work(late)
    return orAborted(work(AbortSignal.any([late, signal])), signal)
  }
  await withDeadline(call, ms, 'a piece of a file to be taken')
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
