/**
 * Node's own HTTP parser (llhttp), for the answers of clones. Node's server and client use the same one, but it is not
 * a documented part of Node: this is the only file that touches it, and it is only used when it behaves as expected.
 * `loadResponseParser` tries it on answers of every kind first, once per balancer, and whoever gets null uses undici.
 */

import { isDeepStrictEqual } from 'node:util'

export interface AnswerEvents {
  /** A message begins: its first byte came. */
  onBegin(): void
  /** Answers whether the message has no body whatever its headers say. */
  onHead(status: number, reason: string, headers: string[], keepsAlive: boolean): boolean
  /** Valid only during the call: the memory is used again. */
  onBody(chunk: Buffer): void
  onComplete(trailers: string[]): void
}

export interface ResponseParser {
  /** Null, or what is wrong with the bytes; nothing may be parsed after that. */
  execute(chunk: Buffer): Error | null
  /** The connection has ended: completes an answer that ends with it. */
  finish(): Error | null
  close(): void
}

export type CreateResponseParser = (events: AnswerEvents) => ResponseParser

/** Null if this Node has no parser that can be used. */
export function loadResponseParser(): CreateResponseParser | null {
  try {
    const { HTTPParser } = process.getBuiltinModule('_http_common' as 'http') as unknown as { HTTPParser?: NativeClass }
    if (HTTPParser === undefined) return null
    const create: CreateResponseParser = (events) => new NativeResponseParser(HTTPParser, events)
    return passesTrial(create) ? create : null
  } catch {
    return null
  }
}

interface NativeClass {
  new (): Native
  readonly RESPONSE: number
  readonly kLenientNone: number
  readonly kOnMessageBegin: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

interface Native {
  initialize(type: number, resource: object, maxHeaderBytes: number, lenient: number): void
  execute(chunk: Buffer): number | Error
  finish(): number | Error | undefined
  close(): void
  [callback: number]: unknown
}

const maxHeaderBytes = 64 * 1024

class NativeResponseParser implements ResponseParser {
  readonly #native: Native
  /** Headers that were handed over early, because there are many, or trailers. */
  #fields: string[] = []

  constructor(HTTPParser: NativeClass, events: AnswerEvents) {
    const native = new HTTPParser()
    native.initialize(HTTPParser.RESPONSE, {}, maxHeaderBytes, HTTPParser.kLenientNone)
    native[HTTPParser.kOnMessageBegin] = () => events.onBegin()
    native[HTTPParser.kOnHeaders] = (headers: string[]) => void this.#fields.push(...headers)
    native[HTTPParser.kOnHeadersComplete] = (
      _major: number,
      _minor: number,
      headers: string[] | undefined,
      _method: undefined,
      _url: undefined,
      status: number,
      reason: string,
      upgrade: boolean,
      keepsAlive: boolean,
    ) => {
      const bodiless = events.onHead(status, reason, headers ?? this.#takeFields(), keepsAlive)
      return upgrade ? skipAll : bodiless ? skipBody : 0
    }
    native[HTTPParser.kOnBody] = (chunk: Buffer) => events.onBody(chunk)
    native[HTTPParser.kOnMessageComplete] = () => events.onComplete(this.#takeFields())
    this.#native = native
  }

  execute(chunk: Buffer): Error | null {
    const result = this.#native.execute(chunk)
    return typeof result === 'number' ? null : result
  }

  finish(): Error | null {
    const result = this.#native.finish()
    return result instanceof Error ? result : null
  }

  close(): void {
    // Not while it is at work: it may be one of its own callbacks that closes it.
    setImmediate(() => this.#native.close())
  }

  #takeFields(): string[] {
    if (this.#fields.length === 0) return none
    const fields = this.#fields
    this.#fields = []
    return fields
  }
}

const none: string[] = []
/** What the parser is told about a body: there is none; or: this connection speaks something else from here on. */
const skipBody = 1
const skipAll = 2

type Heard = unknown[]

/** From one cut to the next. */
const stride = 7

/** Answers of every kind, cut in two at many places: each must be heard as it is meant, or refused. */
function passesTrial(create: CreateResponseParser): boolean {
  return trials.every(({ bytes, heard, refused }) =>
    Array.from({ length: Math.ceil(bytes.length / stride) }, (_value, index) => index * stride).every((cut) => {
      const outcome = listen(create, bytes, cut)
      return refused === true
        ? outcome.error !== null
        : outcome.error === null && isDeepStrictEqual(outcome.heard, heard)
    }),
  )
}

function listen(create: CreateResponseParser, bytes: string, cut: number): { heard: Heard; error: Error | null } {
  const heard: Heard = []
  let body = ''
  const parser = create({
    onBegin: () => heard.push('begin'),
    onHead: (status, reason, headers, keepsAlive) => {
      heard.push([status, reason, [...headers], keepsAlive])
      return status < 200
    },
    onBody: (chunk) => (body += chunk.toString('latin1')),
    onComplete: (trailers) => {
      heard.push([body, [...trailers]])
      body = ''
    },
  })
  const error =
    parser.execute(Buffer.from(bytes.slice(0, cut), 'latin1')) ??
    parser.execute(Buffer.from(bytes.slice(cut), 'latin1')) ??
    parser.finish()
  parser.close()
  return { heard, error }
}

const many = Array.from({ length: 80 }, (_value, index) => [`x-${index}`, `${index}`]).flat()

const trials: readonly { bytes: string; heard?: Heard; refused?: true }[] = [
  {
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: \xfc\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n',
    heard: [
      'begin',
      [200, 'OK', ['Content-Length', '5', 'X-A', '\xfc'], true],
      ['hello', []],
      'begin',
      [204, 'No Content', [], true],
      ['', []],
    ],
  },
  {
    bytes:
      'HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n',
    heard: [
      'begin',
      [103, 'Early Hints', ['link', '<a>'], true],
      ['', []],
      'begin',
      [200, 'OK', ['transfer-encoding', 'chunked'], true],
      ['abc', ['x-t', '1']],
    ],
  },
  {
    bytes: `HTTP/1.1 200 OK\r\n${many.map((part, index) => (index % 2 === 0 ? `${part}: ` : `${part}\r\n`)).join('')}\r\nto the end`,
    heard: ['begin', [200, 'OK', many, false], ['to the end', []]],
  },
  { bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', refused: true },
  { bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!', refused: true },
  { bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell', refused: true },
  { bytes: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', refused: true },
  { bytes: 'HTTP/1.1 200 OK\nx: y\n\n', refused: true },
]
