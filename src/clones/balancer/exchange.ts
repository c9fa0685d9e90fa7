/**
 * One request and its answer. It is sent to a clone, and to another one if that fails and sending it twice is safe:
 * nothing was sent, or the method is idempotent; no byte of an answer was forwarded; the body can be had again; and the
 * budget allows it. A clone that stops answering the supervisor while it holds the request is left for another one.
 *
 * Request and answer keep each other's pace in both directions, and a client that goes away cancels the request at the
 * clone. All of it is callbacks on one object: this is the path that every request takes.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { drainRest } from './error-answer.ts'
import { forwardAnswerHeaders, forwardTrailers, type RequestHead } from './headers.ts'
import type { BalancerLimits } from './options.ts'
import type { Lease, OpenStream } from './place.ts'
import { takeRequestBody, type BodyContext, type RequestBody } from './request-body.ts'
import type { NextRequestId } from './request-id.ts'
import type { RetryBudget } from './retry-budget.ts'
import { AnswerTimeoutError, type UpstreamCall, type UpstreamHandler } from './upstream/client.ts'
import type { UpstreamState, Waiting } from './upstream.ts'
import type { UpstreamSet } from './upstream-set.ts'

export interface ExchangeContext extends BodyContext {
  readonly upstreams: UpstreamSet
  readonly budget: RetryBudget
  /** Whether the balancer is stopping: connections are then not kept. */
  readonly stopping: () => boolean
  readonly nextRequestId: NextRequestId
  /** The response is closed: written, or cut off. Called once for each exchange that was started. */
  readonly closed: (request: IncomingMessage) => void
  /** No clone answered, and nothing was written to the client. */
  readonly fail: (request: IncomingMessage, response: ServerResponse, error: FourfoldError, requestId: string) => void
}

/** The head of an answer that waits for the first piece of its body, to leave together with it. */
interface HeldHead {
  readonly status: number
  readonly reason: string
  readonly headers: string[]
  readonly length: number | null
}

const maxAttempts = 3
/** More interim answers than this lead nowhere. */
const mostInformed = 100
const inlineBytes = 16 * 1024

export class Exchange implements UpstreamHandler, Waiting, OpenStream {
  seat = -1
  readonly #context: ExchangeContext
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #head: RequestHead
  #body: RequestBody | null = null
  #cancel: (() => void) | null = null
  #attempts = 0
  #tried: Set<UpstreamState> | null = null
  #lease: Lease | null = null
  #call: UpstreamCall | null = null
  #held: HeldHead | null = null
  /** Whether the answer said how long it is. */
  #bounded = false
  /** Whether any of the answer went to the client. */
  #answering = false
  /** Interim answers so far. */
  #informed = 0
  /** Whether the retry that follows has been taken from the budget already. */
  #budgeted = false
  #over = false
  #stall: NodeJS.Timeout | undefined

  constructor(context: ExchangeContext, request: IncomingMessage, response: ServerResponse, head: RequestHead) {
    this.#context = context
    this.#request = request
    this.#response = response
    this.#head = head
  }

  start(): void {
    this.#response.on('close', () => this.#leave())
    if (this.#head.bodyLength === 0) return this.#send()
    let taken = false
    const arrived = this.#context.upstreams.expect()
    const stop = takeRequestBody(this.#request, this.#head.bodyLength, this.#context, (error, body) => {
      taken = true
      this.#cancel = null
      this.#body = body
      if (body === null) this.#fail(error)
      else this.#send()
      arrived()
    })
    // A body that is streamed is taken at once, and then it may be the wait for a place that is to be ended.
    if (taken) return
    this.#cancel = () => {
      stop()
      arrived()
    }
  }

  /** The clone hangs: whoever may be answered by another one is. */
  giveUp(): void {
    const replayable = this.#body?.replayable() ?? true
    if (this.#call?.sent !== true || !this.#idempotent() || !replayable || !this.#context.budget.take()) return
    this.#budgeted = true
    this.#call.abort(new Error('the clone stopped answering'))
  }

  /** The clone is going away: the stream ends as if it were complete, and the client asks again. */
  endStream(): void {
    // One that said how long it is must not look whole, nor take the beginning of the next answer for its rest.
    if (this.#bounded) return void this.#response.destroy()
    this.#release()
    this.#response.end()
    this.#call?.abort(clientGone())
  }

  /** Early hints and "still working"; other interim answers mean nothing to a client behind a balancer. */
  onInform(status: number, headers: readonly string[]): void {
    if (this.#over || this.#request.httpVersion === '1.0' || this.#response.headersSent) return
    this.#informed += 1
    if (this.#informed > mostInformed)
      return this.#call?.abort(new Error('the clone sends interim answers without end'))
    if (status === 102) return this.#response.writeProcessing()
    if (status !== 103) return
    const links = headers.filter((_value, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === 'link')
    try {
      if (links.length > 0) this.#response.writeEarlyHints({ link: links })
    } catch {
      // Node refuses what is no link: a hint less.
    }
  }

  onHead(status: number, reason: string, raw: readonly string[]): void {
    const lease = this.#lease
    if (this.#over || lease === null) return
    const { headers, eventStream, length, hasRequestId, trailer } = forwardAnswerHeaders(raw, status)
    if (trailer !== null && length === null && this.#mayHaveTrailers(status)) headers.push('trailer', trailer)
    if (this.#context.limits.exposeClone) headers.push('x-fourfold-clone', lease.upstream.id)
    if (!hasRequestId) headers.push('x-request-id', this.#head.requestId)
    const { upstreams, limits } = this.#context
    upstreams.admission.answered(lease.upstream.buildId, this.#request, status, headers, limits.exposeClone)
    if (this.#context.stopping()) headers.push('connection', 'close')
    lease.upstream.waiting.delete(this)
    lease.upstream.succeed()
    this.#bounded = length !== null
    this.#held = { status, reason: reasonPattern.test(reason) ? reason : '', headers, length }
    if (eventStream) lease.becomeStream(this)
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    const held = this.#held
    if (held !== null) {
      this.#release()
      if (chunk.length === held.length) return this.#endWith(chunk)
    }
    // One read may bring thousands of pieces, which come all the same when the client waits for the first.
    if (this.#response.write(Buffer.from(chunk)) || this.#stall !== undefined) return
    this.#call?.pause()
    this.#response.once('drain', this.#resume)
    this.#stall = setTimeout(() => this.#response.destroy(), this.#context.limits.stallTimeoutMs)
  }

  onLull(): void {
    if (this.#over || this.#held === null) return
    this.#release()
    this.#response.flushHeaders()
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#over) return
    this.#release()
    const kept = forwardTrailers(trailers)
    if (kept.length > 0 && this.#response.chunkedEncoding) this.#response.addTrailers(pairsOf(kept))
    if (!this.#response.writableEnded) this.#response.end()
    cutIfStalled(this.#response, this.#context.limits.stallTimeoutMs)
    if (this.#body?.streamed === true && !this.#request.readableEnded) this.#throwRestAway()
    this.#finish()
  }

  onError(error: Error): void {
    const lease = this.#lease
    if (this.#over || lease === null) return
    const { destroyed } = this.#response
    const sent = this.#call?.sent === true
    const known = isFourfoldError(error) || error instanceof AnswerTimeoutError
    if (!known && !destroyed) lease.upstream.fail(sent, performance.now())
    if (!isFourfoldError(error) && !destroyed) this.#context.upstreams.admission.failed(lease.upstream.buildId)
    if (this.#answering || destroyed) {
      // Half an answer must not look like a whole one.
      if (!this.#response.writableEnded) this.#response.destroy()
      return this.#finish()
    }
    this.#held = null
    this.#leaveClone()
    if (known || !this.#mayRetry(sent)) return this.#fail(describe(error, this.#context.limits))
    this.#tried ??= new Set()
    this.#tried.add(lease.upstream)
    this.#send()
  }

  /** The clone has answered without all of the body: what is still to come stands before the next request. */
  #throwRestAway(): void {
    const [request, response] = [this.#request, this.#response]
    request.resume()
    // Only then its client has no more reason to stay.
    const answered = (): void => void (request.readableEnded || drainRest(request))
    if (response.writableFinished) answered()
    else response.once('finish', answered)
  }

  #send(): void {
    const { upstreams } = this.#context
    const wanted = { avoid: this.#tried, streamed: this.#body?.streamed === true, request: this.#request }
    this.#attempts += 1
    try {
      const lease = upstreams.acquire(wanted)
      if (lease !== null) return this.#sendTo(lease)
      this.#cancel = upstreams.wait(
        wanted,
        (free) => this.#sendTo(free),
        (error) => this.#fail(error),
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  #sendTo(lease: Lease): void {
    const { path, headers } = this.#head
    const body = this.#body?.open() ?? null
    this.#cancel = null
    this.#budgeted = false
    this.#lease = lease
    lease.upstream.waiting.add(this)
    if (body instanceof Readable) body.once('end', () => lease.uploaded())
    const request = {
      method: this.#request.method ?? 'GET',
      path,
      headers,
      body,
      length: this.#body?.length ?? null,
      trailers: () => forwardTrailers(this.#request.rawTrailers),
    }
    this.#call = lease.upstream.client.send(request, this)
  }

  #mayRetry(sent: boolean): boolean {
    if (this.#attempts >= maxAttempts || this.#body?.replayable() === false) return false
    if (sent && !this.#idempotent()) return false
    return this.#budgeted || this.#context.budget.take()
  }

  /** Whether doing it twice is the same as doing it once (RFC 9110, 9.2.2). */
  #idempotent(): boolean {
    return idempotentMethods.has(this.#request.method ?? '')
  }

  /** Whether the answer goes to the client in chunks; Node throws at announced trailers that cannot follow. */
  #mayHaveTrailers(status: number): boolean {
    const { httpVersion, method } = this.#request
    return httpVersion !== '1.0' && method !== 'HEAD' && status !== 204 && status !== 304
  }

  /** The head goes on its way; from now on there is no other answer. */
  #release(): void {
    const held = this.#held
    if (held === null) return
    this.#held = null
    this.#answering = true
    this.#response.writeHead(held.status, held.reason, held.headers)
  }

  /** The whole body in one piece: the answer leaves in one, which for a small one is a text with its head before it. */
  #endWith(body: Buffer): void {
    if (body.length <= inlineBytes) this.#response.end(body.toString('latin1'), 'latin1')
    else this.#response.end(Buffer.from(body))
  }

  readonly #resume = (): void => {
    clearTimeout(this.#stall)
    this.#stall = undefined
    this.#call?.resume()
  }

  /** The response is closed: answered, or the client is gone. */
  #leave(): void {
    clearTimeout(this.#stall)
    this.#context.closed(this.#request)
    if (this.#over) return
    this.#cancel?.()
    const call = this.#call
    this.#finish()
    if (!this.#response.writableFinished) call?.abort(clientGone())
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#finish()
    const cause = error as Error
    const known = isFourfoldError(cause) ? cause : describe(cause, this.#context.limits)
    this.#context.fail(this.#request, this.#response, known, this.#head.requestId)
  }

  #finish(): void {
    this.#over = true
    this.#leaveClone()
  }

  #leaveClone(): void {
    const lease = this.#lease
    this.#call = null
    if (lease === null) return
    this.#lease = null
    lease.upstream.waiting.delete(this)
    lease.release()
  }
}

/** What Node writes; it throws at anything else, and a parser lets more through. */
const reasonPattern = /^[\t\x20-\x7e]*$/
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

function describe(error: Error, limits: BalancerLimits): FourfoldError {
  if (isFourfoldError(error)) return error
  if (error instanceof AnswerTimeoutError) {
    const message = `the clone did not start to answer within ${limits.requestTimeoutMs} ms`
    return new FourfoldError('FF_BALANCER_UPSTREAM_TIMEOUT', message, { cause: error })
  }
  const message = 'the clone broke its connection before it answered, and the request may not be sent again'
  return new FourfoldError('FF_BALANCER_UPSTREAM_FAILED', message, { cause: error })
}

function pairsOf(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_value, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? ''])
}

/** The last piece of an answer waits for its client no longer than the others did. */
export function cutIfStalled(response: ServerResponse, withinMs: number): void {
  if (response.writableLength === 0 || response.destroyed) return
  const timer = setTimeout(() => response.destroy(), withinMs)
  const forget = (): void => clearTimeout(timer)
  response.once('finish', forget).once('close', forget)
}

export function clientGone(): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', 'the client went away before it was answered')
}
