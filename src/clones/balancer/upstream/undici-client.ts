/** Requests to one clone through undici: the way that needs nothing of Node that is not documented. */

import { Pool, type Dispatcher } from 'undici'
import type { Readable } from 'node:stream'
import type { ListenAddress } from '../../protocol.ts'
import { AnswerTimeoutError, type UpstreamCall, type UpstreamClient, type UpstreamHandler } from './client.ts'

export interface UndiciClientOptions {
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}

export function createUndiciClient(address: ListenAddress, options: UndiciClientOptions): UpstreamClient {
  const pool = openPool(address, options)
  return {
    send: ({ method, path, headers, body, length }, handler) => {
      const call = new UndiciCall(handler, body !== null && !Buffer.isBuffer(body) ? body : null)
      const framing = length === null ? [] : ['content-length', String(length)]
      try {
        pool.dispatch(
          { path, method: method as Dispatcher.HttpMethod, headers: [...headers, ...framing], body, reset: false },
          call,
        )
      } catch (error) {
        queueMicrotask(() => handler.onError(error as Error))
      }
      return call
    },
    close: () => pool.destroy(),
  }
}

class UndiciCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #handler: UpstreamHandler
  readonly #body: Readable | null
  #controller: Dispatcher.DispatchController | null = null
  #aborted: Error | null = null
  sent = false

  constructor(handler: UpstreamHandler, body: Readable | null) {
    this.#handler = handler
    this.#body = body
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  abort(error: Error): void {
    this.#aborted ??= error
    this.#controller?.abort(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.sent = true
    if (this.#aborted !== null) controller.abort(this.#aborted)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, reason?: string): void {
    const raw = ((controller.rawHeaders ?? []) as (Buffer | string)[]).map((part) =>
      typeof part === 'string' ? part : part.toString('latin1'),
    )
    if (status < 200) return this.#handler.onInform(status, raw)
    this.#handler.onHead(status, reason ?? '', raw)
    setImmediate(() => this.#handler.onLull())
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onData(chunk)
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: NodeJS.Dict<string | string[]>): void {
    // The clone may have answered without the rest of it.
    this.#body?.destroy()
    this.#handler.onEnd(
      Object.entries(trailers ?? {}).flatMap(([name, value]) => [value ?? []].flat().flatMap((one) => [name, one])),
    )
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#body?.destroy()
    const late = (error as { code?: unknown }).code === 'UND_ERR_HEADERS_TIMEOUT'
    this.#handler.onError(late ? new AnswerTimeoutError(error.message, { cause: error }) : error)
  }
}

function openPool(address: ListenAddress, options: UndiciClientOptions): Pool {
  const origin = 'path' in address ? 'http://clone' : originOf(address.host, address.port)
  const socketPath = 'path' in address ? { socketPath: address.path } : {}
  return new Pool(origin, {
    allowH2: false,
    pipelining: 1,
    maxHeaderSize: 64 * 1024,
    // A clone says in its Keep-Alive header when it will close; without one its connections are given up early.
    keepAliveTimeout: 4000,
    headersTimeout: options.requestTimeoutMs,
    // Answers may pause for as long as they like; a clone that hangs is noticed by the supervisor and killed.
    bodyTimeout: 0,
    connect: { timeout: options.connectTimeoutMs, ...socketPath },
    ...socketPath,
  })
}

function originOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
