/**
 * The body of a request on its way to a clone. A small one of known length is read first, so that it can be sent again
 * to another clone; a larger one is streamed with the clone setting the pace, and can be sent again only as long as no
 * byte of it was taken.
 *
 * Whoever ends the stream to the clone early leaves the client's connection alone: an answer can still be written.
 */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { FourfoldError } from '../../core/errors.ts'
import type { BalancerLimits } from './options.ts'

export interface RequestBody {
  /** What undici is given for one attempt. */
  open(): Buffer | Readable | null
  /** Whether `open` may be called again. */
  replayable(): boolean
  /** Whether it goes to the clone while it comes, at the client's pace. */
  readonly streamed: boolean
  /** The length to declare where the body is a stream of known length. */
  readonly length: number | null
}

const emptyBody: RequestBody = { open: () => null, replayable: () => true, streamed: false, length: null }

/**
 * @throws FF_BALANCER_BODY_TOO_LARGE, FF_BALANCER_REQUEST_TIMEOUT, FF_BALANCER_BAD_REQUEST (the client went away)
 */
export async function readRequestBody(
  request: IncomingMessage,
  length: number | null,
  limits: BalancerLimits,
): Promise<RequestBody> {
  if (length === 0) return emptyBody
  if (length !== null && length > limits.bodyLimitBytes) throw tooLarge(limits)
  if (length === null || length > limits.bufferLimitBytes) return streamBody(request, length, limits)
  const buffer = await collect(request, limits)
  return { open: () => buffer, replayable: () => true, streamed: false, length: null }
}

function collect(request: IncomingMessage, limits: BalancerLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const fail = (error: FourfoldError): void => {
      clearTimeout(timer)
      request.off('data', hear)
      reject(error)
    }
    const hear = (chunk: Buffer): void => {
      chunks.push(chunk)
      timer.refresh()
    }
    const timer = setTimeout(() => fail(tooSlow(limits)), limits.bodyTimeoutMs)
    request.on('data', hear)
    request.once('end', () => {
      clearTimeout(timer)
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks))
    })
    request.once('error', () => fail(gone()))
    request.once('close', () => fail(gone()))
  })
}

function streamBody(request: IncomingMessage, length: number | null, limits: BalancerLimits): RequestBody {
  let taken = false
  return {
    length,
    streamed: true,
    replayable: () => !taken,
    open: () => openStream(request, limits, () => (taken = true)),
  }
}

function openStream(request: IncomingMessage, limits: BalancerLimits, onTake: () => void): Readable {
  let bytes = 0
  let timer: NodeJS.Timeout | undefined
  const body = new Readable({
    read() {
      onTake()
      timer ??= setTimeout(() => body.destroy(tooSlow(limits)), limits.bodyTimeoutMs)
      timer.refresh()
      attach()
      request.resume()
    },
    destroy(error, callback) {
      detach()
      callback(error)
    },
  })
  const hear = (chunk: Buffer): void => {
    bytes += chunk.length
    timer?.refresh()
    if (bytes > limits.bodyLimitBytes) return void body.destroy(tooLarge(limits))
    if (body.push(chunk)) return
    // The clone is slow, which is no fault of the client's.
    clearTimeout(timer)
    timer = undefined
    request.pause()
  }
  const end = (): void => {
    body.push(null)
    detach()
  }
  const close = (): void => void (request.complete || body.destroy(gone()))
  let attached = false
  const attach = (): void => {
    if (attached) return
    attached = true
    if (request.destroyed && !request.complete) return void body.destroy(gone())
    request.on('data', hear).once('end', end).once('error', close).once('close', close)
  }
  const detach = (): void => {
    clearTimeout(timer)
    request.off('data', hear).off('end', end).off('error', close).off('close', close)
    // An error that comes later belongs to nobody, but must not be thrown.
    request.on('error', () => undefined)
  }
  return body
}

function tooLarge({ bodyLimitBytes }: BalancerLimits): FourfoldError {
  return new FourfoldError('FF_BALANCER_BODY_TOO_LARGE', `the body is larger than ${bodyLimitBytes} bytes`)
}

function tooSlow({ bodyTimeoutMs }: BalancerLimits): FourfoldError {
  return new FourfoldError('FF_BALANCER_REQUEST_TIMEOUT', `no part of the body came for ${bodyTimeoutMs} ms`)
}

function gone(): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', 'the client went away while it sent its request')
}
