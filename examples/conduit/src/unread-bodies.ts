/**
 * Takes in what is left of a request's body before the answer goes out: of one that is too large, or that came with
 * a token that is not valid. Who answers and closes while the other side still sends breaks its connection, and a
 * client, or the balancer between, sees that instead of the answer.
 */
import { finished } from 'node:stream/promises'
import type { FastifyRequest } from 'fastify'

/** Who sends more slowly than this loses the connection after all. */
const DEADLINE_MS = 10_000

export async function takeInUnreadBody({ raw }: FastifyRequest): Promise<void> {
  const { headers, readableEnded, destroyed } = raw
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (!hasBody || readableEnded || destroyed) return
  raw.resume()
  // Fails when the client goes away or the time is up; then the answer matters no more.
  await finished(raw, { writable: false, signal: AbortSignal.timeout(DEADLINE_MS) }).catch(() => undefined)
}
