import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, rename, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'
import { startBalancer, type Balancer } from '../../src/clones/balancer/balancer.ts'
import { followCertificate, readCertificate, type CertificateFiles } from '../../src/clones/balancer/certificate.ts'
import { silentLogger } from '../../src/core/log.ts'
import { waitFor } from '../support/wait-for.ts'

interface Pair {
  readonly cert: string
  readonly key: string
}

async function makePair(name: string): Promise<Pair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], { keyType: 'ec' })
  return { cert, key }
}

async function writePair(t: TestContext, pair: Pair): Promise<CertificateFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'fourfold-tls-'))
  t.after(() => rm(directory, { recursive: true }))
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  await replacePair(files, pair)
  return files
}

async function replacePair(files: CertificateFiles, { cert, key }: Partial<Pair>): Promise<void> {
  if (cert !== undefined) await replaceFile(files.cert, cert)
  if (key !== undefined) await replaceFile(files.key, key)
}

/** As a whole: half a file is another mistake than a pair that does not belong together. */
async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

async function serveTls(t: TestContext, files: CertificateFiles): Promise<Balancer> {
  const server = createServer((request, response) => void response.end(JSON.stringify(request.headers)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const balancer = await startBalancer({ port: 0, log: silentLogger, tls: files, headerTimeoutMs: 300 })
  const { port } = server.address() as AddressInfo
  balancer.setUpstreams([{ id: 'clone-1.1', address: { host: '127.0.0.1', port }, buildId: '' }])
  t.after(async () => {
    await balancer.stop(100)
    server.closeAllConnections()
    server.close()
  })
  return balancer
}

async function ask(options: RequestOptions): Promise<{ body: string; subject: string }> {
  const request = httpsRequest({ host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...options }).end()
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  const subject = (answer.socket as TLSSocket).getPeerCertificate().subject.CN
  let body = ''
  for await (const chunk of answer) body += String(chunk)
  return { body, subject: String(subject) }
}

test('requests over TLS are forwarded, and the clone is told that they came that way', async (t) => {
  const { address } = await serveTls(t, await writePair(t, await makePair('first.test')))
  const { body, subject } = await ask({ port: address.port })
  assert.equal(subject, 'first.test')
  const headers = JSON.parse(body) as Record<string, string>
  assert.equal(headers['x-forwarded-proto'], 'https')
  assert.match(headers['forwarded'] ?? '', /;proto=https$/)
})

test('a connection that never finishes its handshake, or speaks no TLS, is closed', async (t) => {
  const { address } = await serveTls(t, await writePair(t, await makePair('first.test')))
  const { connect: connectPlain } = await import('node:net')
  for (const bytes of ['', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n']) {
    const socket = connectPlain(address.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    if (bytes !== '') socket.write(bytes)
    await once(socket, 'close', { signal: AbortSignal.timeout(5000) })
  }
  assert.equal((await ask({ port: address.port })).subject, 'first.test')
})

test('HTTP/2 is not offered to clients that would take it', async (t) => {
  const { address } = await serveTls(t, await writePair(t, await makePair('first.test')))
  const socket = connect({
    port: address.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2', 'http/1.1'],
  })
  await once(socket, 'secureConnect')
  assert.equal(socket.alpnProtocol, 'http/1.1')
  socket.destroy()
})

test('files that belong to nothing are refused at start, by name', async (t) => {
  const [one, other] = [await makePair('one.test'), await makePair('other.test')]
  const files = await writePair(t, { cert: one.cert, key: other.key })
  const refused = { code: 'FF_BALANCER_CERTIFICATE', message: /cert\.pem with .*key\.pem/ }
  await assert.rejects(startBalancer({ port: 0, log: silentLogger, tls: files }), refused)
  await assert.rejects(readCertificate({ ...files, cert: '/nowhere/cert.pem' }), { code: 'FF_BALANCER_CERTIFICATE' })
})

test('a certificate that changes is used for new connections; one that cannot be used changes nothing', async (t) => {
  const [first, second] = [await makePair('first.test'), await makePair('second.test')]
  const files = await writePair(t, first)
  const { createServer: createTlsServer } = await import('node:https')
  const current = await readCertificate(files)
  const server = createTlsServer(current, (_request, response) => void response.end('ok'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const said: string[] = []
  const log = {
    ...silentLogger,
    info: (_fields: object, message?: string) => void said.push(`info ${message}`),
    error: (_fields: object, message?: string) => void said.push(`error ${message}`),
  } as typeof silentLogger
  const stop = followCertificate(server, { files, current, log, everyMs: 10 })
  t.after(() => {
    stop()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  assert.equal((await ask({ port })).subject, 'first.test')
  // Renewal writes one file after the other.
  await replacePair(files, { cert: second.cert })
  await waitFor('the pair to be refused', () => said.length > 0)
  assert.match(said[0] ?? '', /^error .*the old one stays$/)
  assert.equal((await ask({ port })).subject, 'first.test')
  await replacePair(files, { key: second.key })
  await waitFor('the new certificate', () => said.length > 1)
  assert.equal((await ask({ port })).subject, 'second.test')
  assert.deepEqual(
    said.map((line) => line.split(' ')[0]),
    ['error', 'info'],
  )
})
