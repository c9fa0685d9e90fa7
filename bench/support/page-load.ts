/** GETs of pages over HTTP/1.1 from this process: connections that are kept, one request under way on each, few checks. */

import { connect } from 'node:net'

export interface PageLoad {
  readonly port: number
  readonly connections: number
  readonly requests: number
  readonly paths: readonly string[]
  /** Header lines besides Host. */
  readonly headers: readonly string[]
  /** What must stand in the head of an answer. */
  readonly expect: string
}

export interface PageLoadResult {
  readonly seconds: number
  readonly latenciesMs: readonly number[]
  /** Answers without what was expected: on a busy machine a few go another way. */
  readonly others: number
}

const silenceMs = 20_000
const headEnd = Buffer.from('\r\n\r\n')

export async function sendPageLoad(load: PageLoad): Promise<PageLoadResult> {
  const requests = load.paths.map((path) =>
    Buffer.from(
      `GET ${path} HTTP/1.1\r\nHost: bench.test\r\n${load.headers.map((line) => `${line}\r\n`).join('')}\r\n`,
    ),
  )
  const latenciesMs: number[] = []
  const counts = { others: 0 }
  let sent = 0
  const next = (): Buffer | null => (sent < load.requests ? requests[sent++ % requests.length]! : null)
  const began = performance.now()
  await Promise.all(Array.from({ length: load.connections }, () => runConnection(load, next, latenciesMs, counts)))
  return { seconds: (performance.now() - began) / 1_000, latenciesMs, others: counts.others }
}

function runConnection(
  { port, expect }: PageLoad,
  next: () => Buffer | null,
  latenciesMs: number[],
  counts: { others: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let received: Buffer = Buffer.alloc(0)
    let sentAt = 0
    let over = false
    const send = (): void => {
      const bytes = next()
      if (bytes === null) {
        over = true
        socket.destroy()
        return resolve()
      }
      sentAt = performance.now()
      socket.write(bytes)
    }
    const fail = (why: string): void => {
      if (!over) reject(new Error(why))
      over = true
      socket.destroy()
    }
    socket.once('connect', send)
    socket.setTimeout(silenceMs, () => fail(`no answer for ${silenceMs} ms`))
    socket.once('error', (error) => fail(String(error)))
    socket.once('close', () => fail('the connection was closed before the answer'))
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const end = received.indexOf(headEnd)
      if (end < 0) return
      const head = received.toString('latin1', 0, end)
      const length = /\ncontent-length: *(\d+)/i.exec(head)?.[1]
      if (!head.startsWith('HTTP/1.1 200') || length === undefined) return fail(`expected a page, got ${head}`)
      if (received.length < end + headEnd.length + Number(length)) return
      received = Buffer.alloc(0)
      if (!head.includes(expect)) counts.others += 1
      latenciesMs.push(performance.now() - sentAt)
      send()
    })
  })
}
