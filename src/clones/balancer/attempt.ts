/**
 * One attempt at one clone: the handler that undici drives. Request and answer keep each other's pace in both
 * directions, and a client that goes away cancels the request at the clone.
 *
 * A clone that stops answering the supervisor while it holds the request is left for another one, where sending the
 * request twice is safe.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import type { ExchangeContext } from './exchange.ts'
import { forwardAnswerHeaders } from './headers.ts'
import type { RequestBody } from './request-body.ts'
import type { Lease } from './upstream-set.ts'

export interface Outgoing {
  readonly path: string
  readonly headers: string[]
  readonly requestId: string
  readonly body: RequestBody
  /** Whether doing it twice is the same as doing it once (RFC 9110, 9.2.2). */
  readonly idempotent: boolean
}

export interface Failure {
  readonly answered: false
  /** Whether any byte may have reached the clone. */
  readonly sent: boolean
  /** Whether the retry that follows has been taken from the budget already. */
  readonly budgeted: boolean
  readonly error: Error
}

export type Outcome = { readonly answered: true } | Failure

export class Attempt implements Dispatcher.DispatchHandler {
  readonly #context: ExchangeContext
  readonly #lease: Lease
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #outgoing: Outgoing
  #controller: Dispatcher.DispatchController | undefined
  #settle: (outcome: Outcome) => void = () => undefined
  #sent = false
  #answering = false
  #budgeted = false
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
    this.#lease.upstream.waiting.add(this.#giveUp)
    return new Promise<Outcome>((resolve) => {
      this.#settle = resolve
      try {
        const opened = body.open()
        if (opened instanceof Readable) opened.once('end', () => this.#lease.uploaded())
        this.#lease.upstream.pool.dispatch(
          {
            path,
            method: this.#request.method ?? 'GET',
            headers: [...headers, ...length],
            body: opened,
            reset: false,
          },
          this,
        )
      } catch (error) {
        resolve({ answered: false, sent: false, budgeted: false, error: error as Error })
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
    this.#lease.upstream.waiting.delete(this.#giveUp)
    this.#lease.upstream.succeed()
    this.#response.writeHead(status, statusText ?? '', headers)
    if (eventStream) this.#lease.becomeStream(() => this.#endStream())
    // What has no length may take its time; its head should not wait for the first piece.
    if (!hasLength && this.#request.method !== 'HEAD') this.#response.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return
    controller.pause()
    clearTimeout(this.#stall)
    this.#stall = setTimeout(() => this.#response.destroy(), this.#context.limits.stallTimeoutMs)
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: NodeJS.Dict<string | string[]>): void {
    if (Object.keys(trailers ?? {}).length > 0) this.#response.addTrailers(trailers as NodeJS.Dict<string>)
    this.#response.end()
    cutIfStalled(this.#response, this.#context.limits.stallTimeoutMs)
    this.#settle({ answered: true })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!isFourfoldError(error) && !this.#response.destroyed && !isTimeout(error)) {
      this.#lease.upstream.fail(this.#sent, performance.now())
    }
    if (!this.#answering) return this.#settle({ answered: false, sent: this.#sent, budgeted: this.#budgeted, error })
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

  /** The clone hangs: whoever may be answered by another one is. */
  readonly #giveUp = (): void => {
    const { idempotent, body } = this.#outgoing
    if (this.#controller === undefined || !idempotent || !body.replayable() || !this.#context.budget.take()) return
    this.#budgeted = true
    this.#controller.abort(new Error('the clone stopped answering'))
  }

  /** The clone is going away: the stream ends as if it were complete, and the client asks again. */
  #endStream(): void {
    this.#response.end()
    this.#controller?.abort(clientGone())
  }

  #forget(): void {
    clearTimeout(this.#stall)
    this.#lease.upstream.waiting.delete(this.#giveUp)
    this.#response.off('close', this.#clientClosed).off('drain', this.#clientReady)
  }
}

/** The last piece of an answer waits for its client no longer than the others did. */
export function cutIfStalled(response: ServerResponse, withinMs: number): void {
  if (response.writableLength === 0 || response.destroyed) return
  const timer = setTimeout(() => response.destroy(), withinMs)
  const forget = (): void => clearTimeout(timer)
  response.once('finish', forget).once('close', forget)
}

export function isTimeout(error: Error): boolean {
  return (error as { code?: unknown }).code === 'UND_ERR_HEADERS_TIMEOUT'
}

export function clientGone(): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', 'the client went away before it was answered')
}
