import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { createClientConnections } from '../../src/clones/balancer/client-connections.ts'
import { Pace } from '../../src/clones/balancer/pace.ts'
import { createTrust } from '../../src/clones/balancer/trust.ts'

/** What the rules look at of a connection. */
function connection(remoteAddress: string, remotePort = 1): Socket {
  const socket = new EventEmitter() as unknown as Socket & { destroyed: boolean }
  const destroy = (): Socket => {
    socket.destroyed = true
    socket.emit('close')
    return socket
  }
  return Object.assign(socket, { remoteAddress, remotePort, destroyed: false, destroy })
}

const unwritten = { headersSent: false } as ServerResponse
const begun = { headersSent: true } as ServerResponse

test('at the limit of an address its oldest idle connection makes room, and others are left alone', () => {
  const connections = createClientConnections({ maxConnections: 100, maxConnectionsPerAddress: 2 }, () => false)
  const other = connection('10.0.0.2')
  const [busy, idle, third] = [connection('10.0.0.1'), connection('10.0.0.1'), connection('10.0.0.1')]
  for (const socket of [other, busy]) connections.admit(socket)
  connections.begin(busy, unwritten)
  connections.admit(idle)
  connections.admit(third)
  assert.deepEqual(
    [other, busy, idle, third].map(({ destroyed }) => destroyed),
    [false, false, true, false],
  )
  assert.deepEqual({ ...connections.counts }, { open: 3, refused: 0, madeRoom: 1 })
})

test('a connection is closed at once when none of its address is idle, and counted no more', () => {
  const connections = createClientConnections({ maxConnections: 100, maxConnectionsPerAddress: 1 }, () => false)
  const [busy, refused, later] = [connection('10.0.0.1'), connection('10.0.0.1'), connection('10.0.0.1')]
  connections.admit(busy)
  connections.begin(busy, unwritten)
  connections.admit(refused)
  assert.deepEqual([busy.destroyed, refused.destroyed], [false, true])
  connections.end(busy)
  busy.destroy()
  connections.admit(later)
  assert.equal(later.destroyed, false)
  assert.deepEqual({ ...connections.counts }, { open: 1, refused: 1, madeRoom: 0 })
})

test('a trusted proxy stands for many clients, and only the limit of all is for it', () => {
  const trust = createTrust(['10.0.0.1'])
  const connections = createClientConnections({ maxConnections: 3, maxConnectionsPerAddress: 1 }, trust)
  const sockets = Array.from({ length: 4 }, () => connection('10.0.0.1'))
  for (const socket of sockets) {
    connections.admit(socket)
    connections.begin(socket, unwritten)
  }
  assert.deepEqual(
    sockets.map(({ destroyed }) => destroyed),
    [false, false, false, true],
  )
})

test('the addresses of one IPv6 network count as one, however they are written', () => {
  const connections = createClientConnections({ maxConnections: 100, maxConnectionsPerAddress: 2 }, () => false)
  const sockets = ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', '2001:db8::1:0:0:0:3', '2001:db8:0:2::1'].map((address) =>
    connection(address),
  )
  for (const socket of sockets) {
    connections.admit(socket)
    connections.begin(socket, null)
  }
  assert.deepEqual(
    sockets.map(({ destroyed }) => destroyed),
    [false, false, true, false],
  )
})

test('busy connections at the front do not hide idle ones behind them for ever', () => {
  const connections = createClientConnections({ maxConnections: 1000, maxConnectionsPerAddress: 201 }, () => false)
  for (let count = 0; count < 200; count += 1) {
    const busy = connection('10.0.0.1')
    connections.admit(busy)
    connections.begin(busy, null)
  }
  const idle = connection('10.0.0.1')
  connections.admit(idle)
  const more = Array.from({ length: 4 }, () => connection('10.0.0.1'))
  for (const socket of more) connections.admit(socket)
  assert.equal(idle.destroyed, true)
  assert.equal(more.filter(({ destroyed }) => !destroyed).length, 1)
})

test('an error may be written only where no answer has begun and none is before it', () => {
  const connections = createClientConnections({ maxConnections: 9, maxConnectionsPerAddress: 9 }, () => false)
  const socket = connection('10.0.0.1')
  connections.admit(socket)
  assert.equal(connections.isAnswering(socket), false)
  connections.begin(socket, unwritten)
  assert.equal(connections.isAnswering(socket), false)
  connections.begin(socket, unwritten)
  assert.equal(connections.isAnswering(socket), true)
  connections.end(socket)
  assert.equal(connections.isAnswering(socket), false)
  connections.end(socket)
  connections.begin(socket, begun)
  assert.equal(connections.isAnswering(socket), true)
})

test('once its handshake is done a connection is known by the socket that requests come from', () => {
  const connections = createClientConnections({ maxConnections: 9, maxConnectionsPerAddress: 1 }, () => false)
  const raw = connection('10.0.0.1', 4000)
  const secure = connection('10.0.0.1', 4000)
  connections.admit(raw)
  connections.secure(secure)
  connections.begin(secure, unwritten)
  const next = connection('10.0.0.1', 4001)
  connections.admit(next)
  assert.deepEqual([raw.destroyed, next.destroyed], [false, true])
  connections.end(secure)
  connections.admit(connection('10.0.0.1', 4002))
  assert.equal(raw.destroyed, true)
})

test('a body must keep up once its client was waited for long enough; waiting for the clone does not count', () => {
  let now = 0
  const pace = new Pace({ bodyTimeoutMs: 10_000, bodyMinBytesPerSecond: 100 }, () => now)
  now = 9000
  assert.equal(pace.keepsUp(1), true)
  pace.pause()
  now = 900_000
  pace.resume()
  now += 900
  assert.equal(pace.keepsUp(1), true)
  now += 200
  assert.equal(pace.keepsUp(1), false)
  assert.equal(pace.keepsUp(2000), true)
})
