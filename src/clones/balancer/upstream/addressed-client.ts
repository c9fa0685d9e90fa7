/**
 * Requests to a clone on another host: each carries the credential of the incarnation it is meant for. Where the clone
 * refuses it, nothing was carried out, so it counts as never sent and may go to another clone whatever its method.
 */

import { credentialHeader, refusedHeader, refusedStatus } from '../../hosts/credential.ts'
import type { UpstreamCall, UpstreamClient, UpstreamHandler } from './client.ts'

export function addressClient(client: UpstreamClient, credential: string): UpstreamClient {
  return {
    send: (request, handler) => {
      const call = new AddressedCall(handler)
      call.inner = client.send({ ...request, headers: [...request.headers, credentialHeader, credential] }, call)
      return call
    },
    close: () => client.close(),
  }
}

class AddressedCall implements UpstreamCall, UpstreamHandler {
  inner: UpstreamCall | null = null
  readonly #handler: UpstreamHandler
  #refused = false

  constructor(handler: UpstreamHandler) {
    this.#handler = handler
  }

  get sent(): boolean {
    return !this.#refused && this.inner?.sent === true
  }

  pause(): void {
    this.inner?.pause()
  }

  resume(): void {
    this.inner?.resume()
  }

  abort(error: Error): void {
    this.inner?.abort(error)
  }

  onInform(status: number, headers: readonly string[]): void {
    this.#handler.onInform(status, headers)
  }

  onHead(status: number, reason: string, headers: readonly string[]): void {
    this.#refused = status === refusedStatus && headers.some((name) => name.toLowerCase() === refusedHeader)
    if (!this.#refused) this.#handler.onHead(status, reason, headers)
  }

  onData(chunk: Buffer): void {
    if (!this.#refused) this.#handler.onData(chunk)
  }

  onLull(): void {
    if (!this.#refused) this.#handler.onLull()
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#refused) this.#handler.onError(new Error('the clone is no longer the one that the request was for'))
    else this.#handler.onEnd(trailers)
  }

  onError(error: Error): void {
    this.#handler.onError(error)
  }
}
