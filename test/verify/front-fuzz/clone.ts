/**
 * The clone behind the balancer that is fuzzed. It reads strictly, notes what each answer was for, and is not well
 * behaved itself: answers come in every framing, now and then with half an answer more behind them.
 */

import { startRawClone, type RawClone, type ReceivedRequest } from '../../support/raw-clone.ts'
import { valuesOf } from '../../support/strict-http.ts'
import type { Random } from './random.ts'

export interface FuzzClone {
  readonly raw: RawClone
  /** The request that was answered with this mark. */
  readonly answered: ReadonlyMap<string, ReceivedRequest>
  /** What is wrong with what came. */
  readonly faults: string[]
}

const stray = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-stray: '
const requestId = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/

export async function startFuzzClone(random: Random): Promise<FuzzClone> {
  const answered = new Map<string, ReceivedRequest>()
  const ids = new Map<string, string>()
  const faults: string[] = []
  const raw = await startRawClone((request, socket) => {
    const mark = `<${answered.size + 1}>`
    answered.set(mark, request)
    const fault = findFault(request, ids)
    if (fault !== null) faults.push(`${fault}: ${JSON.stringify(request.raw.slice(0, 400))}`)
    const body = request.method === 'HEAD' ? '' : mark
    const style = random.below(20)
    if (style === 0) setImmediate(() => socket.end())
    if (style === 0) return `HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${body}`
    if (style < 6 && body !== '')
      return `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${mark.length.toString(16)}\r\n${mark}\r\n0\r\n\r\n`
    return `HTTP/1.1 200 OK\r\ncontent-length: ${mark.length}\r\n\r\n${body}${style === 6 ? stray : ''}`
  })
  return { raw, answered, faults }
}

/**
 * Only the balancer knows the id that it gives a request, and where the client is: what lacks them, has them twice, or
 * has an id that was used, was never written by the balancer as a request.
 */
function findFault({ headers, method, raw }: ReceivedRequest, ids: Map<string, string>): string | null {
  const [id = '', ...more] = valuesOf(headers, 'x-request-id')
  if (more.length > 0 || !requestId.test(id)) return 'not exactly one id of the balancer'
  const clients = valuesOf(headers, 'x-forwarded-for')
  if (clients.length !== 1 || clients[0] !== '127.0.0.1') return `not exactly one client: ${clients.join(' and ')}`
  if (valuesOf(headers, 'forwarded').length !== 1) return 'not exactly one Forwarded'
  const before = ids.get(id)
  ids.set(id, raw)
  // Sent again, after its connection broke: only what may be, and exactly as it was.
  if (before !== undefined && (before !== raw || !/^(?:GET|HEAD|OPTIONS|PUT|DELETE)$/.test(method)))
    return 'an id twice'
  return null
}
