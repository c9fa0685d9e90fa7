/**
 * Load over HTTP/1.1 from this process: a number of connections that are kept as long as the front keeps them, each with one request under way. The mix is
 * 70 % GET, 15 % POST with 1 KB, 10 % POST in chunks, 5 % HEAD, in a fixed order. Every answer is checked.
 */

import { connect, type Socket } from 'node:net'

export interface Load {
  readonly port: number
  readonly connections: number
  readonly requests: number
}

export interface LoadResult {
  readonly seconds: number
  /** One per request, in the order of the answers. */
  readonly latenciesMs: readonly number[]
}

interface Kind {
  readonly bytes: Buffer
  /** The length of the answer's body. */
  readonly expected: number
  readonly isHead: boolean
}

const payload = 'p'.repeat(1_000)
const head = (method: string, more = ''): string => `${method} /bench HTTP/1.1\r\nHost: bench.test\r\n${more}\r\n`
const kinds = {
  get: { bytes: Buffer.from(head('GET')), expected: 1_024, isHead: false },
  post: { bytes: Buffer.from(head('POST', 'Content-Length: 1000\r\n') + payload), expected: 4, isHead: false },
  chunked: {
    bytes: Buffer.from(
      `${head('POST', 'Transfer-Encoding: chunked\r\n')}1f4\r\n${payload.slice(500)}\r\n1f4\r\n${payload.slice(500)}\r\n0\r\n\r\n`,
    ),
    expected: 4,
    isHead: false,
  },
  head: { bytes: Buffer.from(head('HEAD')), expected: 0, isHead: true },
} satisfies Record<string, Kind>

/** Twenty requests in which each kind has its share. */
const mix: readonly Kind[] = 'ggpggcgggpgghggcgpgg'
  .split('')
  .map((letter) => ({ g: kinds.get, p: kinds.post, c: kinds.chunked, h: kinds.head })[letter] ?? kinds.get)

/** Sends the load and resolves when every request has its answer; rejects on the first that is not as it should be. */
export async function sendLoad({ port, connections, requests }: Load): Promise<LoadResult> {
  const latenciesMs: number[] = []
  let sent = 0
  const next = (): Kind | null => (sent < requests ? (mix[sent++ % mix.length] ?? kinds.get) : null)
  const began = performance.now()
  await Promise.all(Array.from({ length: connections }, () => runConnection(port, next, latenciesMs)))
  return { seconds: (performance.now() - began) / 1_000, latenciesMs }
}

/** One request after the other on one connection; on a new one where the front closes it after an answer. */
async function runConnection(port: number, next: () => Kind | null, latenciesMs: number[]): Promise<void> {
  while (await useConnection(port, next, latenciesMs));
}

/** Resolves with whether there may be more to send, on another connection. */
function useConnection(port: number, next: () => Kind | null, latenciesMs: number[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let kind: Kind | null = null
    let sentAt = 0
    let received = ''
    const finish = (more: boolean): void => {
      resolve(more)
      socket.destroy()
    }
    const send = (): void => {
      kind = next()
      if (kind === null) return finish(false)
      sentAt = performance.now()
      socket.write(kind.bytes)
    }
    socket.once('connect', send)
    socket.setTimeout(20_000, () => fail(socket, reject, 'no answer for 20 s'))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed before the answer')))
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      received += chunk
      const found = kind && readAnswer(received, kind)
      if (found === null) return
      if (found !== '') return fail(socket, reject, found)
      const closes = /\r\nconnection: *close\r\n/i.test(received)
      received = ''
      latenciesMs.push(performance.now() - sentAt)
      if (closes) finish(true)
      else send()
    })
  })
}

function fail(socket: Socket, reject: (error: Error) => void, why: string): void {
  reject(new Error(why))
  socket.destroy()
}

/** Null while the answer is not whole, an empty text when it is as expected, else what is wrong. */
function readAnswer(text: string, kind: Kind): string | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  if (!text.startsWith('HTTP/1.1 200')) return `answered ${text.slice(0, end)}`
  if (kind.isHead) return ''
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2))?.[1]
  const whole = length === undefined ? chunkedLength(text.slice(end + 4)) : Number(length)
  if (whole === null || (length !== undefined && text.length < end + 4 + whole)) return null
  return whole === kind.expected ? '' : `answered ${whole} bytes where ${kind.expected} were expected`
}

/** The length of a body in chunks, or null while its last one is not there. */
function chunkedLength(body: string): number | null {
  let at = 0
  let total = 0
  for (;;) {
    const line = body.indexOf('\r\n', at)
    if (line < 0) return null
    const size = Number.parseInt(body.slice(at, line), 16)
    if (size === 0) return body.length >= line + 4 ? total : null
    total += size
    at = line + 2 + size + 2
  }
}
