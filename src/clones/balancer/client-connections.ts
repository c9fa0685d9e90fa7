/**
 * The connections of clients: how many there may be, in all and from one address, and whether an answer is being
 * written on one.
 *
 * At a limit the oldest connection that is idle makes room, so that open connections that nobody uses keep nobody out;
 * only if none is found is the new one closed. Trusted proxies stand for many clients: the limit for one
 * address is not for them.
 */

import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { plainAddress, type Trust } from './trust.ts'

export interface ConnectionLimits {
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
}

export interface ClientConnections {
  /** Counts a connection that was made, until it closes; closes it at once if there is no room. */
  admit(socket: Socket): void
  /** The handshake on a connection is done: from now on it is known by this socket. */
  secure(socket: Socket): void
  /** An answer is waited for on this connection; null: it was upgraded, and is in use until it closes. */
  begin(socket: Duplex, response: ServerResponse | null): void
  /** It is written, or never will be. */
  end(socket: Duplex): void
  /** The last answer that is waited for, if there is one. */
  latest(socket: Duplex): ServerResponse | null
  /** Whether an error written now would land between or inside answers. */
  isAnswering(socket: Duplex): boolean
  /** Cuts them all. */
  closeAll(): void
  readonly counts: { readonly open: number; readonly refused: number; readonly madeRoom: number }
}

interface Connection {
  readonly socket: Socket
  readonly group: string
  /** What speaks TLS on it, once it does. */
  secure: Socket | null
  /** Answers that are waited for. */
  pending: number
  latest: ServerResponse | null
}

/** How many connections are looked at for an idle one, so that a flood does not make each new one dear. */
const mostLookedAt = 64

export function createClientConnections(limits: ConnectionLimits, trust: Trust): ClientConnections {
  /** The oldest first, but for those that were found busy. */
  const everyone = new Set<Connection>()
  const bySocket = new Map<Duplex, Connection>()
  const groups = new Map<string, Set<Connection>>()
  const counts = { open: 0, refused: 0, madeRoom: 0 }

  const forget = (connection: Connection): void => {
    if (!everyone.delete(connection)) return
    bySocket.delete(connection.socket)
    if (connection.secure !== null) bySocket.delete(connection.secure)
    const group = groups.get(connection.group)
    group?.delete(connection)
    if (group?.size === 0) groups.delete(connection.group)
    counts.open = everyone.size
  }

  const makeRoom = (among: Set<Connection>): boolean => {
    let looked = 0
    for (const connection of among) {
      if ((looked += 1) > mostLookedAt) return false
      if (connection.pending > 0) {
        // Whoever looks next looks at others.
        among.delete(connection)
        among.add(connection)
        continue
      }
      counts.madeRoom += 1
      forget(connection)
      connection.socket.destroy()
      return true
    }
    return false
  }

  const hasRoom = (address: string, group: string): boolean => {
    const members = groups.get(group)
    const crowded = members !== undefined && members.size >= limits.maxConnectionsPerAddress
    if (crowded && !trust(address)) return makeRoom(members)
    return everyone.size < limits.maxConnections || makeRoom(everyone)
  }

  return {
    counts,
    admit: (socket) => {
      const address = plainAddress(socket.remoteAddress)
      const group = groupOf(address)
      if (!hasRoom(address, group)) {
        counts.refused += 1
        return void socket.destroy()
      }
      const connection: Connection = { socket, group, secure: null, pending: 0, latest: null }
      bySocket.set(socket, connection)
      everyone.add(connection)
      const members = groups.get(group)
      if (members === undefined) groups.set(group, new Set([connection]))
      else members.add(connection)
      counts.open = everyone.size
      socket.once('close', () => forget(connection))
    },
    secure: (socket) => {
      const connection = [...(groups.get(groupOf(plainAddress(socket.remoteAddress))) ?? [])].find(
        (one) => one.socket.remotePort === socket.remotePort && one.socket.remoteAddress === socket.remoteAddress,
      )
      if (connection === undefined) return
      connection.secure = socket
      bySocket.set(socket, connection)
    },
    begin: (socket, response) => {
      const connection = bySocket.get(socket)
      if (connection === undefined) return
      connection.pending += 1
      connection.latest = response
    },
    end: (socket) => {
      const connection = bySocket.get(socket)
      if (connection === undefined || connection.pending === 0) return
      connection.pending -= 1
      if (connection.pending === 0) connection.latest = null
    },
    latest: (socket) => bySocket.get(socket)?.latest ?? null,
    isAnswering: (socket) => {
      const connection = bySocket.get(socket)
      // Answers leave in order: the only one that is waited for is the latest.
      return connection !== undefined && (connection.pending > 1 || connection.latest?.headersSent === true)
    },
    closeAll: () => {
      for (const { socket } of everyone) socket.destroy()
    },
  }
}

/** One household has as many IPv6 addresses as it likes: they count as one by their first 64 bits. */
function groupOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0')
  return [...front, ...zeros, ...back].slice(0, 4).join(':')
}
