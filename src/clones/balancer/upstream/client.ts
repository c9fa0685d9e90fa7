/**
 * How requests get to one clone and its answers back: one request at a time on a connection, connections kept between
 * requests. There are two ways (native-client.ts and undici-client.ts) behind this one face.
 */

import type { Readable } from 'node:stream'
import type { ListenAddress } from '../../protocol.ts'

export interface UpstreamRequest {
  readonly method: string
  /** Path and query, in characters that a request line may have. */
  readonly path: string
  /** Names and values in turn, without those that frame the body. */
  readonly headers: readonly string[]
  readonly body: Buffer | Readable | null
  /** The length of a body that is a stream, where it is known. */
  readonly length: number | null
  /** What came behind a body that is a stream: names and values in turn. Asked for when the stream has ended. */
  readonly trailers: () => readonly string[]
}

/** Hears what becomes of a request; never before `send` has returned. The last is always `onEnd` or `onError`. */
export interface UpstreamHandler {
  /** An interim answer (1xx), any number of times. */
  onInform(status: number, headers: readonly string[]): void
  onHead(status: number, reason: string, headers: readonly string[]): void
  /** A piece of the body. Valid only during the call: the memory is used again. */
  onData(chunk: Buffer): void
  /** There is no more for now: what was held back to be sent together should go. */
  onLull(): void
  onEnd(trailers: readonly string[]): void
  onError(error: Error): void
}

export interface UpstreamCall {
  /** Whether any byte may have reached the clone. */
  readonly sent: boolean
  pause(): void
  resume(): void
  /** Ends it: the handler hears `error`, unless the answer was complete already. */
  abort(error: Error): void
}

export interface UpstreamClient {
  /** Never throws: what goes wrong is the handler's to hear. */
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall
  /** Ends everything at once. May be called twice. */
  close(): Promise<void>
}

export type OpenClient = (address: ListenAddress) => UpstreamClient

/** The clone did not begin to answer in time. */
export class AnswerTimeoutError extends Error {
  override readonly name = 'AnswerTimeoutError'
}
