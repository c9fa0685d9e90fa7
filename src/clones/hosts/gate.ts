/**
 * The gate before a clone that other hosts can reach. It lets a request through to the app only if a balancer of the
 * same secrets meant it for this very incarnation; everything else is refused before the app hears of it, in a way that
 * tells a balancer that nothing was carried out.
 *
 * After a pause the requests that waited in the sockets are looked at twice: a balancer that has given one up in the
 * meantime, and perhaps had it answered elsewhere, has closed its connection, and then it is not carried out late.
 */

import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'

import { markBalanced } from '../balanced-request.ts'
import { credentialHeader, isCredential, refusedHeader, refusedStatus } from './credential.ts'

/** Asked of the gate itself, never of the app: 204 if the incarnation that is meant is the one that answers. */
export const alivePath = '/.fourfold/alive'

export interface GateOptions {
  readonly keys: readonly string[]
  /** Which incarnation this process is now; null while it is none, or is leaving. */
  readonly id: () => string | null
  readonly pauses: { check(): void; recently(): boolean }
  /** Whether a request is one that this very process makes of itself. */
  readonly isOwn?: (headers: IncomingMessage['headers']) => boolean
}

/** Everything that hands a request to the app. */
const guarded = new Set(['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect'])
/** Enough for the end of a connection to be read behind its request. */
const secondLookMs = 20

/** Puts the gate before whatever listens to this server, now and later. */
export function guardServer(server: Server, options: GateOptions): void {
  const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean
  const pass = (event: string, request: IncomingMessage, args: unknown[]): boolean => {
    if (request.url === alivePath && args[0] instanceof ServerResponse) {
      args[0].writeHead(204, { connection: 'close' }).end()
      return true
    }
    return emit(event, request, ...args)
  }
  const admit = (event: string, request: IncomingMessage, args: unknown[]): boolean => {
    options.pauses.check()
    const credential = takeCredential(request)
    if (options.isOwn?.(request.headers) === true) return pass(event, request, args)
    const id = options.id()
    if (id === null) return refuse(request, args[0], 'leaving')
    if (!isCredential(options.keys, id, credential)) return refuse(request, args[0], 'not this clone')
    markBalanced(request)
    if (!options.pauses.recently()) return pass(event, request, args)
    setTimeout(() => {
      const { socket } = request
      if (!socket.destroyed && socket.readable && socket.writable) pass(event, request, args)
      else socket.destroy()
    }, secondLookMs)
    return true
  }
  const guard = (event: string, ...args: unknown[]): boolean => {
    if (!guarded.has(event)) return emit(event, ...args)
    const [request, ...rest] = args as [IncomingMessage, ...unknown[]]
    return admit(event, request, rest)
  }
  server.emit = guard as typeof server.emit
}

/** The app never sees it: neither in `headers` nor in `rawHeaders`. */
function takeCredential(request: IncomingMessage): string | undefined {
  const { rawHeaders: raw } = request
  const found: string[] = []
  for (let index = raw.length - 2; index >= 0; index -= 2) {
    if (raw[index]?.toLowerCase() === credentialHeader) found.push(...raw.splice(index, 2).slice(1))
  }
  // Node makes this object when it is asked for: it may exist already.
  delete request.headers[credentialHeader]
  return found.length === 1 ? found[0] : undefined
}

function refuse(request: IncomingMessage, to: unknown, why: string): true {
  const headers = { [refusedHeader]: why, 'content-length': '0', connection: 'close' }
  request.on('error', () => undefined)
  if (to instanceof ServerResponse) {
    to.writeHead(refusedStatus, headers).end()
    request.resume()
    return true
  }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const socket = to as Duplex
  socket.on('error', () => undefined)
  socket.end(`HTTP/1.1 ${refusedStatus} Misdirected Request\r\n${head.join('')}\r\n`, () => socket.destroy())
  return true
}
