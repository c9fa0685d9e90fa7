/**
 * A clone made of nothing but a TCP server: it reads with the strict reader of `strict-http.ts`, so that a test sees
 * what the balancer wrote byte by byte, and writes whatever a test wants, valid or not.
 */

import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Upstream } from '../../src/clones/protocol.ts'
import { readStrictRequest, type StrictRequest } from './strict-http.ts'

export interface ReceivedRequest extends StrictRequest {
  /** Which connection it came on, counted from 1. */
  readonly connection: number
}

/** What is written for a request; null: nothing for now. */
export type Answer = (request: ReceivedRequest, socket: Socket) => string | null

export interface RawClone {
  readonly upstream: Upstream
  /** Whole requests, in the order in which they came. */
  readonly requests: ReceivedRequest[]
  /** Bytes that are no strict request. */
  readonly violations: string[]
  /** Beginnings of requests whose connection closed before they were whole. */
  readonly cut: string[]
  /** What has come and is not whole yet. */
  unfinished(): readonly string[]
  connections(): number
  answer: Answer
  /** Called with what has come of a request that is not whole. */
  answerEarly: ((pending: string, socket: Socket) => void) | null
  close(): Promise<void>
}

/** Says which request it is an answer to. */
export function plainAnswer(request: StrictRequest): string {
  const body = request.method === 'HEAD' ? '' : `${request.method} ${request.target}`
  const length = `${request.method} ${request.target}`.length
  return `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${body}`
}

export async function startRawClone(answer: Answer = plainAnswer): Promise<RawClone> {
  const open = new Map<Socket, { pending: string; readonly number: number }>()
  let opened = 0
  const server: Server = createServer((socket) => {
    opened += 1
    const state = { pending: '', number: opened }
    open.set(socket, state)
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      state.pending += chunk
      read(clone, state, socket)
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      open.delete(socket)
      if (state.pending !== '') clone.cut.push(state.pending)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clone: RawClone = {
    upstream: { id: 'clone-1.1', address: { host: '127.0.0.1', port }, buildId: '' },
    requests: [],
    violations: [],
    cut: [],
    unfinished: () => [...open.values()].map(({ pending }) => pending).filter((pending) => pending !== ''),
    connections: () => open.size,
    answer,
    answerEarly: null,
    close: async () => {
      for (const socket of open.keys()) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return clone
}

function read(clone: RawClone, state: { pending: string; readonly number: number }, socket: Socket): void {
  try {
    for (let request = readStrictRequest(state.pending); request !== null;) {
      state.pending = state.pending.slice(request.raw.length)
      const received = { ...request, connection: state.number }
      clone.requests.push(received)
      const answer = clone.answer(received, socket)
      if (answer !== null) socket.write(answer, 'latin1')
      request = state.pending === '' ? null : readStrictRequest(state.pending)
    }
    if (state.pending !== '') clone.answerEarly?.(state.pending, socket)
  } catch (error) {
    clone.violations.push(`${(error as Error).message} in ${JSON.stringify(state.pending.slice(0, 300))}`)
    state.pending = ''
    socket.destroy()
  }
}

/** The same, closed when the test ends. */
export async function openRawClone(t: TestContext, answer?: Answer): Promise<RawClone> {
  const clone = await startRawClone(answer)
  t.after(() => clone.close())
  return clone
}
