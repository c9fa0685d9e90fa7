/**
 * One request and its answer. It is sent to a clone, and to another one if that fails and sending it twice is safe:
 * nothing was sent, or the method is idempotent; no byte of an answer was forwarded; the body can be had again; and the
 * budget allows it.
 *
 * Both directions keep each other's pace. A client that goes away cancels the request at the clone.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { forwardAnswerHeaders } from './headers.ts'
import type { BalancerLimits } from './options.ts'
import type { RequestBody } from './request-body.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { UpstreamState } from './upstream.ts'
import type { Lease, UpstreamSet } from './upstream-set.ts'

export interface ExchangeContext {
  readonly upstreams: UpstreamSet
  readonly budget: RetryBudget
  readonly limits: BalancerLimits
  /** Whether the balancer is stopping: connections are then not kept. */
  readonly stopping: () => boolean
}

export interface Outgoing {
  readonly path: string
  readonly headers: string[]
  readonly requestId: string
  readonly body: RequestBody
}

type Outcome = { readonly answered: true } | { readonly answered: false; readonly sent: boolean; readonly error: Error }

const maxAttempts = 3
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/**
 * Resolves when the answer is written or the client is gone.
 *
 * @throws FF_BALANCER_* if no clone answered; nothing was written to the client then
 */
export async function exchange(
  context: ExchangeContext,
  request: IncomingMessage,
  response: ServerResponse,
  outgoing: Outgoing,
): Promise<void> {
  const tried = new Set<UpstreamState>()
  const gone = new AbortController()
  const leave = (): void => gone.abort(clientGone())
  response.once('close', leave)
  try {
    for (let attempt = 1; ; attempt += 1) {
      gone.signal.throwIfAborted()
      const lease = await context.upstreams.acquire(tried, gone.signal)
      const outcome = await new Attempt(context, lease, request, response, outgoing).run()
      lease.release()
      if (outcome.answered || response.destroyed) return
      tried.add(lease.upstream)
      if (!mayRetry(outcome, request, outgoing, attempt) || !context.budget.take())
        throw describe(outcome.error, context.limits)
    }
  } finally {
    response.off('close', leave)
  }
}

function mayRetry(
  outcome: Outcome & { answered: false },
  request: IncomingMessage,
  outgoing: Outgoing,
  attempt: number,
): boolean {
  if (attempt >= maxAttempts || isFourfoldError(outcome.error) || isTimeout(outcome.error)) return false
  return outgoing.body.replayable() && (!outcome.sent || idempotentMethods.has(request.method ?? ''))
}

/** One attempt at one clone: the handler that undici drives. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly #context: ExchangeContext
  readonly #lease: Lease
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #outgoing: Outgoing
  #controller: Dispatcher.DispatchController | undefined
  #settle: (outcome: Outcome) => void = () => undefined
  #sent = false
  #answering = false
  #stall: NodeJS.Timeout | undefined

  constructor(
    context: ExchangeContext,
    lease: Lease,
    request: IncomingMessage,
    response: ServerResponse,
    outgoing: Outgoing,
  ) {
    this.#context = context
    this.#lease = lease
    this.#request = request
    this.#response = response
    this.#outgoing = outgoing
  }

  run(): Promise<Outcome> {
    const { path, headers, body } = this.#outgoing
    const length = body.length === null ? [] : ['content-length', String(body.length)]
    this.#response.on('close', this.#clientClosed).on('drain', this.#clientReady)
    return new Promise<Outcome>((resolve) => {
      this.#settle = resolve
      try {
        this.#lease.upstream.pool.dispatch(
          {
            path,
            method: this.#request.method ?? 'GET',
            headers: [...headers, ...length],
            body: body.open(),
            reset: false,
          },
          this,
        )
      } catch (error) {
        resolve({ answered: false, sent: false, error: error as Error })
      }
    }).finally(() => this.#forget())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#sent = true
    if (this.#response.destroyed) controller.abort(clientGone())
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    const raw = (controller.rawHeaders ?? []) as (Buffer | string)[]
    if (status < 200) return this.#inform(status, raw)
    const { headers, eventStream, hasLength } = forwardAnswerHeaders(raw, status)
    if (this.#context.limits.exposeClone) headers.push('x-fourfold-clone', this.#lease.upstream.id)
    if (!headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'x-request-id')) {
      headers.push('x-request-id', this.#outgoing.requestId)
    }
    if (this.#context.stopping()) headers.push('connection', 'close')
    this.#answering = true
    this.#lease.upstream.succeed()
    this.#response.writeHead(status, statusText ?? '', headers)
    if (eventStream) this.#lease.becomeStream(() => this.#endStream())
    // What has no length may take its time; its head should not wait for the first piece.
    if (!hasLength && this.#request.method !== 'HEAD') this.#response.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return
    controller.pause()
    this.#stall = setTimeout(() => this.#response.destroy(), this.#context.limits.stallTimeoutMs)
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: NodeJS.Dict<string | string[]>): void {
    if (Object.keys(trailers ?? {}).length > 0) this.#response.addTrailers(trailers as NodeJS.Dict<string>)
    this.#response.end()
    this.#settle({ answered: true })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!isFourfoldError(error) && !this.#response.destroyed && !isTimeout(error)) {
      this.#lease.upstream.fail(this.#sent, performance.now())
    }
    if (!this.#answering) return this.#settle({ answered: false, sent: this.#sent, error })
    // Half an answer must not look like a whole one.
    if (!this.#response.writableEnded) this.#response.destroy()
    this.#settle({ answered: true })
  }

  /** Interim answers: early hints and "still working"; others mean nothing to a client behind a balancer. */
  #inform(status: number, raw: readonly (Buffer | string)[]): void {
    if (this.#request.httpVersion === '1.0') return
    if (status === 102) return this.#response.writeProcessing()
    const { headers } = forwardAnswerHeaders(raw, status)
    const links = headers.filter((_value, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === 'link')
    if (status === 103 && links.length > 0) this.#response.writeEarlyHints({ link: links })
  }

  readonly #clientClosed = (): void => {
    if (!this.#response.writableFinished) this.#controller?.abort(clientGone())
  }

  readonly #clientReady = (): void => {
    clearTimeout(this.#stall)
    this.#controller?.resume()
  }

  /** The clone is going away: the stream ends as if it were complete, and the client asks again. */
  #endStream(): void {
    this.#response.end()
    this.#controller?.abort(clientGone())
  }

  #forget(): void {
    clearTimeout(this.#stall)
    this.#response.off('close', this.#clientClosed).off('drain', this.#clientReady)
  }
}

function isTimeout(error: Error): boolean {
  return (error as { code?: unknown }).code === 'UND_ERR_HEADERS_TIMEOUT'
}

function clientGone(): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', 'the client went away before it was answered')
}

function describe(error: Error, limits: BalancerLimits): FourfoldError {
  if (isFourfoldError(error)) return error
  if (isTimeout(error)) {
    const message = `the clone did not start to answer within ${limits.requestTimeoutMs} ms`
    return new FourfoldError('FF_BALANCER_UPSTREAM_TIMEOUT', message, { cause: error })
  }
  const message = 'the clone broke its connection before it answered, and the request may not be sent again'
  return new FourfoldError('FF_BALANCER_UPSTREAM_FAILED', message, { cause: error })
}
