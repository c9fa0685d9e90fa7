/**
 * PostgreSQL's request to cancel what a connection is doing: sixteen bytes on a connection of its own, which is never
 * answered but closed by the server when it has acted (the frontend/backend protocol, "Canceling Requests in
 * Progress"). Whoever asks waits for that, as libpq does. A pooler forwards the request for the connection that it
 * came on, and forgets it when that is closed early; PgBouncer 1.18 even ends itself then (pgbouncer #846).
 */

import { connect } from 'node:net'
import { join } from 'node:path'

export interface CancelTarget {
  readonly host: string
  readonly port: number
  readonly processID: number
  readonly secretKey: number
}

/** How long a server may take before nobody waits for it. */
const patienceMs = 1000
/** How long the request stays open for a server that stands still. */
const longestMs = 60_000
const requestCode = 80_877_102

/** Resolves when the server has acted, or cannot be reached, or did nothing for a second. Keeps no process alive. */
export function requestCancel({ host, port, processID, secretKey }: CancelTarget): Promise<void> {
  const request = Buffer.alloc(16)
  for (const [index, number] of [16, requestCode, processID, secretKey].entries())
    request.writeInt32BE(number, index * 4)
  const socket = host.startsWith('/') ? connect(join(host, `.s.PGSQL.${port}`)) : connect(port, host)
  socket.unref()
  socket.on('error', () => undefined)
  socket.setTimeout(longestMs, () => socket.destroy())
  // Not ended: an end would tell a pooler that nobody waits any more.
  socket.write(request)
  // What is said instead of nothing is of no interest, but must be read for the end to be seen.
  socket.resume()
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      // Where nobody listens, nobody waits to be told either.
      if (socket.connecting) socket.destroy()
      resolve()
    }, patienceMs)
    timer.unref()
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
