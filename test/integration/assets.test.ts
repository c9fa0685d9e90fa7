import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { serveAssets } from 'fourfold/node'
import { makeBuild, pruneBuilds, type Build } from '../../src/clones/build/snapshot.ts'

interface Place {
  readonly data: string
  /** Writes the app's public files anew and makes a build of them. */
  build(files: Record<string, string>): Promise<Build>
  /** A clone of this build, or of the folder as it is. */
  serve(folder: string): Promise<(path: string, options?: Options) => Promise<Answer>>
}

type Options = Pick<RequestOptions, 'method' | 'headers'>

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** As it stands: `fetch` would tidy the path, and have caches passed by. */
async function ask(port: number, path: string, options: Options = {}): Promise<Answer> {
  const asking = request({ port, host: '127.0.0.1', path, agent: false, ...options }).end()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  const chunks = await response.toArray()
  return { status: response.statusCode ?? 0, headers: response.headers, text: chunks.join('') }
}

async function prepare(t: TestContext): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'assets-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const [app, data] = [join(root, 'app'), join(root, 'data')]
  return {
    data,
    build: async (files) => {
      await rm(join(app, 'public'), { recursive: true, force: true })
      await mkdir(join(app, 'public'), { recursive: true })
      for (const [name, text] of Object.entries(files)) await writeFile(join(app, 'public', name), text)
      await writeFile(join(app, 'app.ts'), '')
      return await makeBuild({ appFile: join(app, 'app.ts'), dataDir: data, schema: '' })
    },
    serve: async (folder) => {
      const assets = serveAssets({ folder: join(folder, 'public') })
      const server = createServer((request, response) => {
        void assets(request, response).then((done) => done || response.writeHead(404).end('not here'))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.after(() => server.close())
      const { port } = server.address() as AddressInfo
      return (path, options) => ask(port, path, options)
    },
  }
}

const text = ({ status, text: body }: Answer): string => `${status} ${body}`

test('every clone has the files of every build that is kept, and its own where names are the same', async (t) => {
  const { build, serve, data } = await prepare(t)
  const first = await build({ 'app-a1b2c3d4.js': 'one', 'style.css': 'first' })
  const old = await serve(first.folder)
  const second = await build({ 'app-e5f6a7b8.js': 'two', 'style.css': 'second' })
  const fresh = await serve(second.folder)
  assert.equal(text(await fresh('/assets/app-a1b2c3d4.js')), '200 one')
  assert.equal(text(await old('/assets/app-e5f6a7b8.js')), '200 two')
  assert.equal(text(await old('/assets/style.css')), '200 first')
  assert.equal(text(await fresh('/assets/style.css')), '200 second')
  await pruneBuilds(data, 1, [second.id])
  assert.equal(text(await fresh('/assets/app-a1b2c3d4.js')), '404 not here')
})

test('a name with a hash is cached for a year, another is asked for again and not sent again', async (t) => {
  const { build, serve } = await prepare(t)
  const get = await serve((await build({ 'app-a1b2c3d4.js': 'one', 'plain-name.css': 'p {}' })).folder)
  const hashed = await get('/assets/app-a1b2c3d4.js')
  assert.equal(hashed.headers['cache-control'], 'public, max-age=31536000, immutable')
  assert.match(String(hashed.headers['content-type']), /javascript/)
  const plain = await get('/assets/plain-name.css')
  assert.equal(plain.headers['cache-control'], 'public, max-age=0')
  const again = await get('/assets/plain-name.css', { headers: { 'if-none-match': String(plain.headers['etag']) } })
  assert.equal(again.status, 304)
  const part = await get('/assets/app-a1b2c3d4.js', { headers: { range: 'bytes=1-' } })
  assert.equal(text(part), '206 ne')
  assert.equal(text(await get('/assets/app-a1b2c3d4.js', { method: 'HEAD' })), '200 ')
})

test('nothing outside of the folder is sent', async (t) => {
  const { build, serve } = await prepare(t)
  const { folder } = await build({ 'a.txt': 'a', '.secret': 's' })
  const get = await serve(folder)
  const paths = [
    '../app.ts',
    '%2e%2e/app.ts',
    '..%2fapp.ts',
    '.secret',
    '',
    'a.txt/',
    '%00',
    '%',
    '/a.txt',
    'x/../a.txt',
    '..%5capp.ts',
  ]
  for (const path of paths) assert.equal((await get(`/assets/${path}`)).status, 404, path)
  assert.equal(text(await get('/assets/a.txt')), '200 a')
  assert.equal((await get('/assets/a.txt', { method: 'POST' })).status, 404)
})

test('a folder that is no build’s is served as it is', async (t) => {
  const { serve, data } = await prepare(t)
  await mkdir(join(data, 'public'), { recursive: true })
  await writeFile(join(data, 'public', 'a.txt'), 'as it is')
  assert.equal(text(await (await serve(data))('/assets/a.txt')), '200 as it is')
})
