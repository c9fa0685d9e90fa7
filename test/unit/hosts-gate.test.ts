import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import { startBalancer } from '../../src/clones/balancer/balancer.ts'
import { credentialFor, credentialHeader, credentialKeys, isCredential } from '../../src/clones/hosts/credential.ts'
import { alivePath, guardServer } from '../../src/clones/hosts/gate.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { Upstream } from '../../src/clones/protocol.ts'
import { waitFor } from '../support/wait-for.ts'

const keys = credentialKeys(['a secret of at least thirty-two characters'])

interface Clone {
  /** What the app was asked for. */
  readonly seen: { readonly path: string; readonly headers: IncomingMessage['headers']; readonly raw: string[] }[]
  readonly upstream: Upstream
  readonly port: number
  id: string | null
  recently: boolean
  checks: number
}

/** A guarded server, behind which an app writes down what reaches it. */
async function startClone(t: TestContext, id: string): Promise<Clone> {
  const server = createServer((asked, response) => {
    clone.seen.push({ path: asked.url ?? '', headers: asked.headers, raw: asked.rawHeaders })
    response.end('done')
  })
  server.on('upgrade', (asked, socket) => {
    clone.seen.push({ path: asked.url ?? '', headers: asked.headers, raw: asked.rawHeaders })
    socket.destroy()
  })
  const pauses = { check: () => void (clone.checks += 1), recently: () => clone.recently }
  guardServer(server, { keys, id: () => clone.id, pauses })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const credential = credentialFor(keys, id)
  const upstream = { id, address: { host: '127.0.0.1', port }, buildId: 'b', credential }
  const clone: Clone = { seen: [], upstream, port, id, recently: false, checks: 0 }
  return clone
}

function ask(port: number, path: string, credential?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = credential === undefined ? {} : { [credentialHeader]: credential }
    const asking = request({ port, path, method: 'POST', headers, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    asking.on('error', reject)
    asking.end('x')
  })
}

test('a credential is for one incarnation, and every secret that is in use makes one that counts', () => {
  const [old, fresh] = credentialKeys([
    'the first secret of thirty-two characters',
    'the other secret of thirty-two letters',
  ])
  assert.ok(old !== undefined && fresh !== undefined)
  assert.ok(isCredential([fresh, old], 'web/clone-1', credentialFor([old], 'web/clone-1')))
  assert.ok(!isCredential([fresh, old], 'web/clone-2', credentialFor([old], 'web/clone-1')))
  assert.ok(!isCredential([fresh], 'web/clone-1', credentialFor([old], 'web/clone-1')))
  assert.ok(!isCredential([fresh], 'web/clone-1', undefined))
  assert.ok(!isCredential([fresh], 'web/clone-1', ''))
})

test('the gate lets in what is meant for this incarnation, without the credential, and nothing else', async (t) => {
  const clone = await startClone(t, 'web/clone-1.a')
  assert.equal(await ask(clone.port, '/none'), 421)
  assert.equal(await ask(clone.port, '/other', credentialFor(keys, 'web/clone-1.b')), 421)
  assert.equal(await ask(clone.port, '/right', credentialFor(keys, 'web/clone-1.a')), 200)
  clone.id = null
  assert.equal(await ask(clone.port, '/left', credentialFor(keys, 'web/clone-1.a')), 421)
  assert.deepEqual(
    clone.seen.map(({ path }) => path),
    ['/right'],
  )
  assert.equal(clone.seen[0]?.headers[credentialHeader], undefined)
  assert.ok(!clone.seen[0]?.raw.some((name) => name.toLowerCase() === credentialHeader))
  assert.ok(clone.checks >= 4, 'it looks for pauses before it decides')
})

test('two credentials are none', async (t) => {
  const clone = await startClone(t, 'one')
  const line = `X-Fourfold-To: ${credentialFor(keys, 'one')}\r\n`
  const socket = connect(clone.port, '127.0.0.1')
  socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${line}${line}\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  assert.match(answer.toString(), /^HTTP\/1\.1 421 /)
  assert.deepEqual(clone.seen, [])
})

test('the gate answers for itself whether it is there, and refuses to change the protocol for strangers', async (t) => {
  const clone = await startClone(t, 'one')
  assert.equal(await ask(clone.port, alivePath, credentialFor(keys, 'one')), 204)
  assert.equal(await ask(clone.port, alivePath, credentialFor(keys, 'two')), 421)
  const socket = connect(clone.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  assert.match(answer.toString(), /^HTTP\/1\.1 421 /)
  assert.deepEqual(clone.seen, [])
})

test('after a pause, a request whose client has left is not carried out, and others are', async (t) => {
  const clone = await startClone(t, 'one')
  clone.recently = true
  const credential = credentialFor(keys, 'one')
  for (const end of ['end', 'resetAndDestroy'] as const) {
    const socket = connect(clone.port, '127.0.0.1')
    socket.on('error', () => undefined).resume()
    await once(socket, 'connect')
    socket.write(`POST /gone HTTP/1.1\r\nHost: x\r\nX-Fourfold-To: ${credential}\r\nContent-Length: 0\r\n\r\n`)
    socket[end]()
    await once(socket, 'close')
  }
  assert.equal(await ask(clone.port, '/waiting', credential), 200)
  assert.deepEqual(
    clone.seen.map(({ path }) => path),
    ['/waiting'],
  )
})

test('a write that one clone refuses is carried out once, by another', async (t) => {
  const [left, right] = [await startClone(t, 'one'), await startClone(t, 'two')]
  const balancer = await startBalancer({ port: 0, log: silentLogger })
  t.after(() => balancer.stop(0))
  left.id = 'one, but later'
  balancer.setUpstreams([left.upstream, right.upstream])
  for (let count = 0; count < 6; count += 1) assert.equal(await ask(balancer.address.port, `/write-${count}`), 200)
  assert.deepEqual(left.seen, [])
  assert.equal(right.seen.length, 6)
})

test('what is given up is not carried out when the line is mended: the connection is reset', async (t) => {
  let resets = 0
  const silent = createServer(() => undefined)
  silent.on('connection', (socket) => socket.on('error', () => (resets += 1)))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const other = await startClone(t, 'two')
  const balancer = await startBalancer({ port: 0, log: silentLogger })
  t.after(() => balancer.stop(0))
  const { port } = silent.address() as AddressInfo
  const hanging: Upstream = { id: 'one', address: { host: '127.0.0.1', port }, buildId: 'b' }
  balancer.setUpstreams([hanging])
  const answer = fetch(`http://127.0.0.1:${balancer.address.port}/`)
  await waitFor(
    'it to be sent',
    () => new Promise((resolve) => silent.getConnections((_error, count) => resolve(count > 0))),
  )
  await waitFor('another to answer', async () => {
    balancer.setUpstreams([{ ...hanging, healthy: true }, other.upstream])
    balancer.setUpstreams([{ ...hanging, healthy: false }, other.upstream])
    return resets > 0
  })
  assert.equal((await answer).status, 200)
})
