import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { balance, openRaw, type Balanced } from '../support/balanced.ts'
import { waitFor } from '../support/wait-for.ts'

async function echo(t: TestContext): Promise<Balanced> {
  const balanced = await balance(t, [(request, response) => void response.end(`plain ${request.headers.upgrade}`)])
  const sockets = new WebSocketServer({
    server: balanced.servers[0],
    verifyClient: ({ req }: { req: { url?: string } }, done: (ok: boolean, status?: number) => void) =>
      done(req.url !== '/forbidden', 403),
  })
  sockets.on('connection', (socket, request) => {
    socket.send(String(request.headers['x-forwarded-for']))
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  t.after(() => sockets.close())
  return balanced
}

async function open(t: TestContext, url: string): Promise<WebSocket> {
  const socket = new WebSocket(url)
  t.after(() => socket.terminate())
  await once(socket, 'message')
  return socket
}

test('a WebSocket carries text and large binary messages both ways', async (t) => {
  const { url } = await echo(t)
  const socket = new WebSocket(url.replace('http', 'ws'))
  t.after(() => socket.terminate())
  assert.equal(String((await once(socket, 'message'))[0]), '127.0.0.1')
  socket.send('hello')
  assert.equal(String((await once(socket, 'message'))[0]), 'hello')
  const large = Buffer.alloc(2_000_000, 7)
  socket.send(large)
  assert.ok(large.equals((await once(socket, 'message'))[0] as Buffer))
  socket.close(4001, 'bye')
  assert.equal((await once(socket, 'close'))[0], 4001)
})

test('a refusal of the clone reaches the client', async (t) => {
  const { url } = await echo(t)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/forbidden`)
  const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number; headers: object }]
  assert.equal(answer.statusCode, 403)
  socket.on('error', () => undefined)
  socket.terminate()
})

test('a WebSocket does not hold up a drain, and is closed by it', async (t) => {
  const { url, balancer } = await echo(t)
  const socket = await open(t, url.replace('http', 'ws'))
  const closed = once(socket, 'close')
  assert.equal(await balancer.drain('clone-1.1', 2000), 0)
  await closed
})

test('when either side is lost the other is closed', async (t) => {
  const { url, servers, balancer } = await echo(t)
  const first = await open(t, url.replace('http', 'ws'))
  const second = await open(t, url.replace('http', 'ws'))
  const connections = (): Promise<number> =>
    new Promise((resolve) => servers[0]?.getConnections((_error, count) => resolve(count)))
  assert.equal(await connections(), 2)
  first.terminate()
  await waitFor('the clone to lose the connection', async () => (await connections()) === 1)
  const closed = once(second, 'close')
  await balancer.stop(0)
  await closed
})

test('other upgrades are answered as if nobody had asked', async (t) => {
  const { port } = await echo(t)
  const raw = openRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n')
  assert.match(await raw.closed, /plain undefined/)
})

test('an upgrade without a clone is answered 503', async (t) => {
  const { port } = await balance(t, [])
  const raw = openRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  assert.match(await raw.closed, /^HTTP\/1\.1 503 .*FF_BALANCER_NO_UPSTREAM/s)
})
