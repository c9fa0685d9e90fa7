/**
 * The body of a request on its way to a clone. A small one is read first, so that it can be sent again to another clone;
 * a larger one, or one that comes in chunks and is not there yet, is streamed with the clone setting the pace, and can
 * be sent again only as long as no byte of it was taken.
 *
 * Whoever ends the stream to the clone early leaves the client's connection alone: an answer can still be written.
 */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { FourfoldError } from '../../core/errors.ts'
import type { BalancerLimits } from './options.ts'
import { Pace } from './pace.ts'

export interface RequestBody {
  /** What is sent in one attempt. */
  open(): Buffer | Readable
  /** Whether `open` may be called again. */
  replayable(): boolean
  /** Whether it goes to the clone while it comes, at the client's pace. */
  readonly streamed: boolean
  /** The length of a stream, where it was declared. */
  readonly length: number | null
}

/** What all bodies hold that are being read, so that many small ones do not become one large one. */
export interface BodyMemory {
  bytes: number
}

export interface BodyContext {
  readonly limits: BalancerLimits
  readonly bodyMemory: BodyMemory
}

type OnBody = (error: FourfoldError | null, body: RequestBody | null) => void

/**
 * Hands over the body, or why there is none: FF_BALANCER_BODY_TOO_LARGE, FF_BALANCER_REQUEST_TIMEOUT,
 * FF_BALANCER_BAD_REQUEST (the client went away). The result ends the wait for it.
 *
 * @param length as it was declared; null: it comes in chunks
 */
export function takeRequestBody(
  request: IncomingMessage,
  length: number | null,
  context: BodyContext,
  onBody: OnBody,
): () => void {
  const gathering = new Gathering(request, length, context, onBody)
  gathering.start()
  return () => gathering.stop()
}

/** Reads a body until it is whole, or until it shows that it has to be streamed. */
class Gathering {
  readonly #request: IncomingMessage
  readonly #length: number | null
  readonly #limits: BalancerLimits
  readonly #memory: BodyMemory
  readonly #onBody: OnBody
  readonly #pace: Pace
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #over = false
  #timer: NodeJS.Timeout | undefined

  constructor(request: IncomingMessage, length: number | null, { limits, bodyMemory }: BodyContext, onBody: OnBody) {
    this.#request = request
    this.#length = length
    this.#limits = limits
    this.#memory = bodyMemory
    this.#onBody = onBody
    this.#pace = new Pace(limits)
  }

  start(): void {
    const { bodyLimitBytes, bufferLimitBytes } = this.#limits
    if (this.#length !== null && this.#length > bodyLimitBytes) return this.#fail(tooLarge(this.#limits))
    if (this.#length !== null && this.#length > bufferLimitBytes) return this.#stream()
    // Who goes away closes the response too, which ends the wait: an error has no other listener, and is not thrown then.
    this.#request.on('data', this.#hear).on('end', this.#end)
    // What has come with the head is there by then.
    setImmediate(() => this.#settleDown())
  }

  stop(): void {
    if (this.#over) return
    this.#finish()
    if (!this.#request.readableEnded) this.#request.off('data', this.#hear).off('end', this.#end)
  }

  /** What comes in chunks may come for as long as its sender likes, and the clone may have to see its beginning. */
  #settleDown(): void {
    if (this.#over) return
    // The parser has refused what came with the head: the client was told already.
    if (this.#request.socket.writableEnded) return this.#fail(gone())
    if (this.#length === null) return this.#stream()
    this.#timer = setTimeout(() => this.#fail(tooSlow(this.#limits)), this.#limits.bodyTimeoutMs)
  }

  #stream(): void {
    this.#request.pause()
    this.stop()
    this.#onBody(null, new StreamedBody(this.#request, this.#length, this.#limits, this.#chunks))
  }

  #fail(error: FourfoldError): void {
    this.stop()
    this.#onBody(error, null)
  }

  #finish(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#memory.bytes -= this.#bytes
  }

  readonly #hear = (chunk: Buffer): void => {
    const { bufferLimitBytes, bufferTotalBytes } = this.#limits
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#memory.bytes += chunk.length
    this.#timer?.refresh()
    // Without room for more the clone gets it as it comes, and takes no more than it has places for.
    if (this.#bytes > bufferLimitBytes || this.#memory.bytes > bufferTotalBytes) return this.#stream()
    if (!this.#pace.keepsUp(chunk.length)) this.#fail(tooSlow(this.#limits))
  }

  readonly #end = (): void => {
    if (this.#over) return
    this.#finish()
    const [first] = this.#chunks
    const whole = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
    this.#onBody(null, { open: () => whole, replayable: () => true, streamed: false, length: null })
  }
}

class StreamedBody implements RequestBody {
  readonly streamed = true
  readonly length: number | null
  readonly #request: IncomingMessage
  readonly #limits: BalancerLimits
  readonly #first: readonly Buffer[]
  #taken = false

  /** `first`: what was read of it already. */
  constructor(request: IncomingMessage, length: number | null, limits: BalancerLimits, first: readonly Buffer[]) {
    this.#request = request
    this.length = length
    this.#limits = limits
    this.#first = first
  }

  replayable(): boolean {
    return !this.#taken
  }

  open(): Readable {
    return openStream(this.#request, this.#limits, this.#first, () => (this.#taken = true))
  }
}

function openStream(
  request: IncomingMessage,
  limits: BalancerLimits,
  first: readonly Buffer[],
  onTake: () => void,
): Readable {
  const pace = new Pace(limits)
  let bytes = 0
  let begun = false
  let timer: NodeJS.Timeout | undefined
  const body = new Readable({
    read() {
      onTake()
      timer ??= setTimeout(() => body.destroy(tooSlow(limits)), limits.bodyTimeoutMs)
      timer.refresh()
      pace.resume()
      if (begun) return void request.resume()
      begun = true
      for (const chunk of first) hear(chunk)
      attach()
    },
    destroy(error, callback) {
      detach()
      callback(error)
    },
  })
  // It may fail before whoever sends it listens; who asks later finds it broken.
  body.on('error', () => undefined)
  const hear = (chunk: Buffer): void => {
    bytes += chunk.length
    timer?.refresh()
    if (bytes > limits.bodyLimitBytes) return void body.destroy(tooLarge(limits))
    if (!pace.keepsUp(chunk.length)) return void body.destroy(tooSlow(limits))
    if (body.push(chunk)) return
    // The clone is slow, which is no fault of the client's.
    clearTimeout(timer)
    timer = undefined
    pace.pause()
    request.pause()
  }
  const end = (): void => {
    body.push(null)
    detach()
  }
  const close = (): void => void (request.complete || body.destroy(gone()))
  const attach = (): void => {
    if (request.readableEnded) return end()
    if (request.destroyed && !request.complete) return void body.destroy(gone())
    request.on('data', hear).once('end', end).once('error', close).once('close', close)
    request.resume()
  }
  const detach = (): void => {
    clearTimeout(timer)
    request.off('data', hear).off('end', end).off('error', close).off('close', close)
    request.on('error', () => undefined)
  }
  return body
}

function tooLarge({ bodyLimitBytes }: BalancerLimits): FourfoldError {
  return new FourfoldError('FF_BALANCER_BODY_TOO_LARGE', `the body is larger than ${bodyLimitBytes} bytes`)
}

function tooSlow({ bodyTimeoutMs, bodyMinBytesPerSecond }: BalancerLimits): FourfoldError {
  const message = `the body came too slowly: nothing for ${bodyTimeoutMs} ms, or less than ${bodyMinBytesPerSecond} bytes a second`
  return new FourfoldError('FF_BALANCER_REQUEST_TIMEOUT', message)
}

function gone(): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', 'the client went away while it sent its request')
}
