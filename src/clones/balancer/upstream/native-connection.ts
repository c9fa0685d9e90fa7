/**
 * One connection to a clone, with one request at a time on it, parsed by Node's own parser.
 *
 * It is used again only if nothing is left open: the request was sent whole, the answer came whole, the clone keeps
 * the connection, and not one byte came beyond the answer. Whatever comes when nothing was asked ends it, so that no
 * byte can ever be taken for the answer of a later request.
 */

import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { ListenAddress } from '../../protocol.ts'
import { AnswerTimeoutError, type UpstreamCall, type UpstreamHandler, type UpstreamRequest } from './client.ts'
import type { AnswerEvents, CreateResponseParser, ResponseParser } from './response-parser.ts'
import { chunkEnd, chunkHead, lastChunk } from './request-writer.ts'

export interface ConnectionOptions {
  readonly address: ListenAddress
  readonly createParser: CreateResponseParser
  /** Where what is read is put; all connections may share it. */
  readonly readBuffer: Buffer | (() => Buffer)
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  /** Hears that it can be used again. */
  readonly onFree: (connection: NativeConnection) => void
  readonly onClose: (connection: NativeConnection) => void
}

/** What a clone that says nothing keeps its connections for, less a second: as long as Node's server does. */
const defaultKeepMs = 4000

/** A clone that sends nothing for so long is asked whether it is there (TCP keep-alive): every second, ten times. */
export const probeMs = 10_000

export class NativeConnection implements AnswerEvents {
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  readonly #parser: ResponseParser
  #call: NativeCall | null = null
  #connected = false
  /** What went wrong, for the request that is under way when the socket closes. */
  #failure: Error | null = null
  /** Since when something is waited for: the connection, the head of an answer, or the next request. */
  #since = performance.now()
  #keepMs = defaultKeepMs
  /** The clone has said how long it keeps the connection: it says the same with every answer. */
  #keepKnown = false
  /** The head of an answer has come: its body may take its time. */
  #answering = false
  #interim = false
  #paused = false
  #complete = false
  #trailers: readonly string[] = []
  /** Whether it may be used again, as far as is known. */
  #clean = true
  #uploading: Readable | null = null

  constructor(options: ConnectionOptions) {
    const { address, readBuffer } = options
    this.#options = options
    this.#parser = options.createParser(this)
    const onread = {
      buffer: readBuffer,
      callback: (bytes: number, buffer: Uint8Array) => this.#read(buffer.subarray(0, bytes) as Buffer),
    }
    // An answer may pause for as long as it likes; a host that is gone is noticed by its system's silence.
    const probes = { keepAlive: true, keepAliveInitialDelay: probeMs }
    this.#socket = connect({ ...address, noDelay: true, ...probes, onread })
    this.#socket
      .once('connect', () => this.#connect())
      .once('end', () => this.#end())
      .once('error', (error) => (this.#failure ??= error))
      .once('close', () => this.#close())
      .on('drain', () => this.#uploading?.resume())
  }

  send(call: NativeCall): void {
    this.#call = call
    this.#answering = false
    this.#complete = false
    if (this.#connected) this.#write(call)
  }

  /** Whether it waits for a request and its clone still keeps it. */
  isFresh(now: number): boolean {
    return !this.#socket.destroyed && this.#clean && now - this.#since < this.#keepMs
  }

  /** Ends what has taken too long. */
  check(now: number): void {
    const waitedMs = now - this.#since
    if (this.#call === null) {
      if (waitedMs >= this.#keepMs) this.#socket.destroy()
    } else if (!this.#connected) {
      if (waitedMs >= this.#options.connectTimeoutMs) this.destroy(new Error('the clone took no connection in time'))
    } else if (!this.#answering && waitedMs >= this.#options.requestTimeoutMs) {
      this.destroy(new AnswerTimeoutError(`no answer within ${this.#options.requestTimeoutMs} ms`))
    }
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  destroy(error: Error): void {
    this.#failure ??= error
    // What is given up must not arrive later: a socket that is closed goes on sending what the other side has not
    // acknowledged, through a line that is mended after minutes, too. One that is reset forgets it.
    if (this.#connected && this.#call !== null && 'port' in this.#options.address) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  onBegin(): void {
    if (this.#call === null || this.#complete) this.#clean = false
  }

  onHead(status: number, reason: string, headers: string[], keepsAlive: boolean): boolean {
    const call = this.#call
    if (call === null || this.#complete) return true
    if (status === 101) this.#failure ??= new Error('the clone changed the protocol though nobody asked')
    this.#interim = status < 200
    if (this.#interim) {
      if (this.#failure === null) call.handler.onInform(status, headers)
      return true
    }
    this.#answering = true
    if (!keepsAlive) this.#clean = false
    if (!this.#keepKnown) {
      this.#keepMs = keepAliveOf(headers)
      this.#keepKnown = true
    }
    call.handler.onHead(status, reason, headers)
    return call.request.method === 'HEAD'
  }

  onBody(chunk: Buffer): void {
    if (!this.#complete) this.#call?.handler.onData(chunk)
  }

  onComplete(trailers: string[]): void {
    if (this.#interim || this.#call === null || this.#complete) return
    this.#complete = true
    this.#trailers = trailers
  }

  #connect(): void {
    this.#connected = true
    this.#since = performance.now()
    if (this.#call !== null) this.#write(this.#call)
  }

  #write(call: NativeCall): void {
    const { head, request } = call
    const { body } = request
    call.sent = true
    this.#since = performance.now()
    if (body === null) this.#socket.write(head, 'latin1')
    else if (!(body instanceof Readable)) this.#writeWhole(head, body)
    else this.#writeStream(head, body, request)
  }

  #writeWhole(head: string, body: Buffer): void {
    // A small body in one piece with its head is one write less.
    if (body.length <= inlineBytes) return void this.#socket.write(head + body.toString('latin1'), 'latin1')
    this.#socket.cork()
    this.#socket.write(head, 'latin1')
    this.#socket.write(body)
    this.#socket.uncork()
  }

  #writeStream(head: string, body: Readable, { length, trailers }: UpstreamRequest): void {
    const socket = this.#socket
    this.#uploading = body
    socket.write(head, 'latin1')
    body.on('data', (chunk: Buffer) => {
      if (this.#uploading !== body) return
      this.#since = performance.now()
      socket.cork()
      if (length === null) socket.write(chunkHead(chunk.length), 'latin1')
      const more = socket.write(chunk)
      if (length === null) socket.write(chunkEnd, 'latin1')
      socket.uncork()
      if (!more) body.pause()
    })
    body.once('end', () => {
      if (this.#uploading !== body) return
      this.#uploading = null
      if (length === null) socket.write(lastChunk(trailers()), 'latin1')
      if (this.#complete) this.#settle()
    })
    body.once('error', (error) => this.#uploading === body && this.destroy(error))
  }

  /** True asks for more. */
  #read(chunk: Buffer): boolean {
    const error = this.#parser.execute(chunk)
    // What is wrong behind an answer that is whole does that answer no harm; but nothing may come after it.
    if (error !== null && this.#complete) this.#clean = false
    if (error !== null && !this.#complete) this.destroy(error)
    else if (this.#failure !== null) this.#socket.destroy()
    else if (this.#complete) this.#settle()
    else if (this.#call === null) this.#socket.destroy()
    else if (this.#answering) this.#call.handler.onLull()
    return true
  }

  /** The answer is whole. The connection waits for the next request, or ends if it cannot serve one. */
  #settle(): void {
    const call = this.#call
    if (call === null) return void this.#socket.destroy()
    this.#call = null
    this.#since = performance.now()
    const upload = this.#uploading
    this.#uploading = null
    // The clone has answered without the rest of the body: only a new connection knows where the next request begins.
    const free = this.#clean && upload === null && !this.#socket.destroyed
    // Its client may still be slow: the next one need not be.
    if (this.#paused) this.resume()
    if (free) this.#options.onFree(this)
    else this.#socket.destroy()
    upload?.destroy()
    call.connection = null
    call.handler.onEnd(this.#trailers)
  }

  #end(): void {
    this.#clean = false
    this.#failure ??= this.#parser.finish()
    if (this.#complete) this.#settle()
  }

  #close(): void {
    this.#options.onClose(this)
    this.#parser.close()
    const call = this.#call
    if (call === null) return
    this.#call = null
    const upload = this.#uploading
    this.#uploading = null
    upload?.destroy()
    call.connection = null
    call.handler.onError(this.#failure ?? new Error('the clone closed the connection before its answer was complete'))
  }
}

/** One request on its way. */
export class NativeCall implements UpstreamCall {
  readonly request: UpstreamRequest
  /** Its head as it is written. */
  readonly head: string
  readonly handler: UpstreamHandler
  connection: NativeConnection | null = null
  sent = false

  constructor(request: UpstreamRequest, head: string, handler: UpstreamHandler) {
    this.request = request
    this.head = head
    this.handler = handler
  }

  pause(): void {
    this.connection?.pause()
  }

  resume(): void {
    this.connection?.resume()
  }

  abort(error: Error): void {
    this.connection?.destroy(error)
  }
}

const inlineBytes = 16 * 1024

/** How long the clone says that it keeps the connection (`Keep-Alive: timeout=5`), less a second for the way. */
function keepAliveOf(headers: readonly string[]): number {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]
    if (name?.length !== 10 || name.toLowerCase() !== 'keep-alive') continue
    const seconds = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(headers[index + 1] ?? '')?.[1]
    return seconds === undefined ? defaultKeepMs : Math.max(0, Number(seconds) * 1000 - 1000)
  }
  return defaultKeepMs
}
