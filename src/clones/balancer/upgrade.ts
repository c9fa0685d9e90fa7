/**
 * WebSockets: the request to upgrade is forwarded like any other, and when the clone agrees the two connections are
 * joined, each at the other's pace. What the clone answers instead of agreeing is passed on.
 */

import { request as httpRequest, STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { writeErrorText } from './error-answer.ts'
import type { ExchangeContext } from './exchange.ts'
import { forwardAnswerHeaders, readRequestHead } from './headers.ts'
import type { Trust } from './trust.ts'
import type { Lease } from './place.ts'
import { probeMs } from './upstream/native-connection.ts'
import { credentialHeader } from '../hosts/credential.ts'

/** Whether a request asks for a WebSocket. Other upgrades (HTTP/2 in the clear) are answered as if they had not asked. */
export function asksForWebSocket(request: IncomingMessage): boolean {
  if (request.method !== 'GET' || request.httpVersion === '1.0') return false
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

export async function upgrade(
  context: ExchangeContext,
  trust: Trust,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const gone = new AbortController()
  const leave = (): void => gone.abort(new FourfoldError('FF_BALANCER_BAD_REQUEST', 'the client went away'))
  socket.on('error', () => socket.destroy())
  socket.once('close', leave)
  try {
    const { path, headers, bodyLength } = readRequestHead(request, trust, context.nextRequestId)
    // What would be its body is what comes first on the joined connection.
    if (bodyLength !== 0) {
      throw new FourfoldError('FF_BALANCER_BAD_REQUEST', 'a request for a WebSocket has no body')
    }
    headers.push('connection', 'upgrade', 'upgrade', 'websocket')
    const lease = await waitForPlace(context, request, gone.signal)
    await join(context, lease, socket, head, { path, headers, signal: gone.signal })
  } catch (error) {
    const cause = error as Error
    const known = isFourfoldError(cause) ? cause : failed(cause)
    // A client that keeps its half open gets no more than a moment.
    if (socket.writable) socket.end(writeErrorText(known), () => closeSoon(socket))
    else socket.destroy()
  }
}

function waitForPlace({ upstreams }: ExchangeContext, request: IncomingMessage, signal: AbortSignal): Promise<Lease> {
  const wanted = { avoid: null, streamed: false, request }
  const lease = upstreams.acquire(wanted)
  if (lease !== null) return Promise.resolve(lease)
  return new Promise((resolve, reject) => {
    const cancel = upstreams.wait(wanted, resolve, reject)
    signal.addEventListener('abort', () => {
      cancel()
      reject(signal.reason as Error)
    })
  })
}

interface UpgradeRequest {
  readonly path: string
  readonly headers: string[]
  readonly signal: AbortSignal
}

function join(
  context: ExchangeContext,
  lease: Lease,
  socket: Duplex,
  head: Buffer,
  wanted: UpgradeRequest,
): Promise<void> {
  const { address, id, credential } = lease.upstream
  const name = context.limits.exposeClone ? ['x-fourfold-clone', id] : []
  return new Promise((resolve, reject) => {
    const upstream = httpRequest({
      ...('path' in address ? { socketPath: address.path } : { host: address.host, port: address.port }),
      path: wanted.path,
      headers: credential === undefined ? wanted.headers : [...wanted.headers, credentialHeader, credential],
      agent: false,
      signal: wanted.signal,
      timeout: context.limits.requestTimeoutMs,
    })
    upstream.setSocketKeepAlive(true, probeMs)
    const end = (): void => {
      lease.release()
      resolve()
    }
    upstream.once('timeout', () => upstream.destroy(new Error('the clone did not answer')))
    let answering = false
    upstream.once('error', (error) => {
      lease.release()
      // No other answer may follow half of one.
      if (answering) socket.destroy()
      reject(error)
    })
    upstream.once('response', (answer) => {
      answering = true
      const { headers, eventStream } = forwardAnswerHeaders(answer.rawHeaders, answer.statusCode ?? 502)
      // The length may be unknown: the end of the connection is the end of the answer.
      socket.write(writeHead(answer, [...headers, ...name, 'connection', 'close']), 'latin1')
      answer.pipe(socket)
      socket.once('finish', () => closeSoon(socket))
      // Whatever its client still sends is for nobody; that it leaves is heard only by reading on.
      socket.once('end', () => socket.destroy()).resume()
      const endStream = (): void => {
        answer.unpipe(socket)
        socket.end()
      }
      if (eventStream) lease.becomeStream({ endStream })
      answer.once('close', () => {
        // Half an answer must not look like a whole one.
        if (!answer.complete) socket.destroy()
        end()
      })
    })
    upstream.once('upgrade', (answer, other: Duplex, otherHead: Buffer) => {
      const { headers } = forwardAnswerHeaders(answer.rawHeaders, 101)
      const agreed = ['connection', 'Upgrade', 'upgrade', 'websocket']
      socket.write(writeHead(answer, [...headers, ...name, ...agreed]), 'latin1')
      lease.becomeStream({
        endStream: () => {
          socket.end()
          other.end()
          closeSoon(socket, other)
        },
      })
      pair(socket, other, head, otherHead, end)
    })
    upstream.end()
  })
}

function pair(client: Duplex, clone: Duplex, head: Buffer, otherHead: Buffer, end: () => void): void {
  if ('setTimeout' in clone && typeof clone.setTimeout === 'function') clone.setTimeout(0)
  if ('setTimeout' in client && typeof client.setTimeout === 'function') client.setTimeout(0)
  if (otherHead.length > 0) client.write(otherHead)
  if (head.length > 0) clone.write(head)
  client.pipe(clone)
  clone.pipe(client)
  clone.on('error', () => client.destroy())
  client.once('close', () => clone.destroy())
  clone.once('close', () => {
    if (!client.writableEnded) client.destroy()
    closeSoon(client)
    end()
  })
}

/** Both sides were told that the connection ends; one that does not close is cut. */
function closeSoon(...sockets: Duplex[]): void {
  setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, lastWordsMs).unref()
}

const lastWordsMs = 500

/** In latin1, as Node's parser gave it. */
function writeHead(answer: IncomingMessage, headers: readonly string[]): string {
  const status = answer.statusCode ?? 502
  let head = `HTTP/1.1 ${status} ${answer.statusMessage ?? STATUS_CODES[status] ?? ''}\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}\r\n`
}

function failed(cause: Error): FourfoldError {
  return new FourfoldError('FF_BALANCER_UPSTREAM_FAILED', 'the clone did not answer the request to upgrade', { cause })
}
