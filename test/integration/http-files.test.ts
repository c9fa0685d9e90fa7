/** Files over real connections: what every adapter answers, and what becomes of readers that go away or bytes that are missing. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test, type TestContext } from 'node:test'

import Fastify from 'fastify'
import type { Fourfold } from '../../src/app/fourfold.ts'
import { createFiles } from '../../src/files/create-files.ts'
import type { Files } from '../../src/files/files.ts'
import { fileRoutes } from '../../src/http/fastify.ts'
import { sendFile } from '../../src/http/node.ts'
import { createMemoryFiles, type MemoryFiles } from '../support/memory-files.ts'
import { waitFor } from '../support/wait-for.ts'

type Serve = (t: TestContext, files: Files) => Promise<string>

const serveByFastify: Serve = async (t, files) => {
  const ff = { config: { files: { path: '/files' } }, files } as unknown as Fourfold<any>
  const app = Fastify()
  app.decorateRequest('ff', { getter: () => ff })
  await app.register(fileRoutes, { ff })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => app.close())
  return addressOf(app.server)
}

const serveByNode: Serve = async (t, files) => {
  const server = createServer((request, response) => {
    const name = request.url?.split('/').at(-1) ?? ''
    sendFile(files, request, response, name).catch((error: unknown) => {
      if (response.headersSent) return response.destroy()
      response.writeHead(500)
      return response.end(String(error))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return addressOf(server)
}

const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/files`

for (const [adapter, serve] of [
  ['Fastify', serveByFastify],
  ['node:http', serveByNode],
] as const) {
  suite(`files through ${adapter}`, () => {
    const begin = async (
      t: TestContext,
      size: number,
    ): Promise<{ url: string; bytes: Buffer; driver: MemoryFiles }> => {
      const driver = createMemoryFiles(64 * 1024)
      const files = createFiles({ driver, maxBytes: 1024 ** 3 })
      const bytes = randomBytes(size)
      const { name } = await files.put(bytes)
      return { url: `${await serve(t, files)}/${name}`, bytes, driver }
    }

    test('whole, in parts, by its hash, without its bytes', async (t) => {
      const { url, bytes } = await begin(t, 300_000)
      const whole = await fetch(url)
      assert.equal(whole.headers.get('content-length'), '300000')
      assert.ok(Buffer.from(await whole.arrayBuffer()).equals(bytes))
      const part = await fetch(url, { headers: { range: 'bytes=65530-65540' } })
      assert.equal(part.status, 206)
      assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(65_530, 65_541)))
      const known = await fetch(url, { headers: { 'if-none-match': whole.headers.get('etag') ?? '' } })
      assert.equal(known.status, 304)
      const head = await fetch(url, { method: 'HEAD' })
      assert.equal(head.status, 200)
      assert.equal(head.headers.get('content-length'), '300000')
      const missing = await fetch(`${url.slice(0, -1)}x`)
      assert.equal(missing.status, 404)
      assert.equal(missing.headers.get('cache-control'), 'no-cache')
      await missing.text()
    })

    test('a file that cannot be read is a failure that nobody keeps, and one that breaks off breaks the connection', async (t) => {
      const { url, driver, bytes } = await begin(t, 300_000)
      driver.missingBytes = bytes.length
      const failed = await fetch(url)
      assert.equal(failed.status, 500)
      assert.equal(failed.headers.get('cache-control'), null)
      assert.equal(failed.headers.get('etag'), null)
      await failed.text()
      driver.missingBytes = 1
      await assert.rejects(fetch(url).then((answer) => answer.arrayBuffer()))
    })

    test('a reader who goes away stops the reading', async (t) => {
      const { url, driver } = await begin(t, 64 * 1024 ** 2)
      const leaving = new AbortController()
      const answer = await fetch(url, { signal: leaving.signal })
      const reader = answer.body?.getReader()
      await reader?.read()
      leaving.abort()
      let read = -1
      await waitFor('the reading to stop', async () => {
        const same = read === driver.piecesRead
        read = driver.piecesRead
        await new Promise((resolve) => setTimeout(resolve, 50))
        return same
      })
      assert.ok(driver.piecesRead < 900, `${driver.piecesRead} of 1024 pieces were read for one who left`)
    })
  })
}
