/** A connection that costs its own process little: HTTP/1.1, kept open, one request at a time, bodies with a length. */

import { connect, type Socket } from 'node:net'

export interface PlainAnswer {
  readonly status: number
  readonly text: string
}

export interface HttpConnection {
  ask(method: string, path: string, token: string | null, body?: unknown): Promise<PlainAnswer>
  close(): void
}

const answerMs = 30_000

export async function openConnection(port: number): Promise<HttpConnection> {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received: Buffer = Buffer.alloc(0)
  let waiting: PromiseWithResolvers<PlainAnswer> | null = null
  const fail = (error: Error): void => {
    waiting?.reject(error)
    waiting = null
  }
  socket.setTimeout(answerMs, () => {
    // A connection that rests is no mistake.
    if (waiting !== null) fail(new Error(`no answer for ${answerMs} ms`))
  })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the connection was closed before the answer')))
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const answer = readAnswer(received)
    if (answer === null) return
    received = Buffer.alloc(0)
    waiting?.resolve(answer)
    waiting = null
  })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return {
    ask(method, path, token, body) {
      const text = body === undefined ? '' : JSON.stringify(body)
      const authorization = token === null ? '' : `Authorization: Token ${token}\r\n`
      const length =
        body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
      waiting = Promise.withResolvers<PlainAnswer>()
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: bench.test\r\n${authorization}${length}\r\n${text}`)
      return waiting.promise
    },
    close: () => void socket.destroy(),
  }
}

function readAnswer(bytes: Buffer): PlainAnswer | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = bytes.toString('latin1', 0, end)
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
  if (bytes.length < end + 4 + length) return null
  return { status: Number(head.slice(9, 12)), text: bytes.toString('utf8', end + 4, end + 4 + length) }
}
