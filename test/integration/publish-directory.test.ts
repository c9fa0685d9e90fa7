/** Pages in a directory that a real nginx serves with the settings of the guide. */

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { nodeArgumentsFor } from '../../src/clones/process.ts'
import { publishingArguments } from '../../src/app/publishing.ts'
import { createDirectoryPublisher } from '../../src/pages/publish/directory.ts'
import { endAfter } from '../support/postgres.ts'
import { nameOf, publishGround, type PublishGround } from '../support/publish-ground.ts'
import { waitFor } from '../support/wait-for.ts'
import { hasServer, startNginx } from '../support/static-servers.ts'

import type { ResolvedConfig } from '../../src/app/config.ts'
import type { PublishedOnce, Publishing } from '../../src/pages/publish/publishing.ts'

const skip = (await hasServer('nginx')) ? false : 'no nginx on this machine'
const filler = '<p>a line of text</p>'.repeat(100)

suite('a directory that nginx serves', { skip }, () => {
  const endings: (() => Promise<void>)[] = []
  const cleanup = { after: (end: () => Promise<void>) => void endings.push(end) }
  let ground: PublishGround
  let worker: Publishing
  let root = ''
  let nginx = ''

  before(async () => {
    ground = await publishGround(cleanup)
    root = join(ground.directory, 'pages')
    await mkdir(root)
    const app = createServer((request, response) => void response.writeHead(404).end(`the app: ${request.url}`))
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    endAfter(cleanup, async () => (app.closeAllConnections(), void app.close()))
    nginx = await startNginx(cleanup, root, (app.address() as { port: number }).port)
    worker = ground.worker({ publishers: [createDirectoryPublisher(root)] })
  })
  after(async () => {
    for (const end of endings) await end()
  })

  const publish = async (
    url: string,
    body: string,
    options: Parameters<PublishGround['bake']>[1] = {},
  ): Promise<void> => {
    worker.publish(nameOf(url), await ground.bake(body, options))
    await worker.settled()
  }
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(nginx + path, { headers })
  const body = async (path: string): Promise<string> => await (await get(path)).text()

  test('pages are served under their addresses, and everything else is asked of the app', async () => {
    const pages = [
      '/',
      '/article/a',
      '/article/',
      '/list?page=2',
      '/caf%C3%A9',
      '/a.html',
      '/wiki/Talk:v1.0',
      '/100%25',
    ]
    for (const url of pages) await publish(url, `page ${url}`)
    await publish('/feed.xml', '<rss/>', { type: 'application/rss+xml' })
    for (const url of pages) assert.equal(await body(url), `page ${url}`)
    const feed = await get('/feed.xml')
    assert.equal(await feed.text(), '<rss/>')
    assert.match(feed.headers.get('content-type')!, /xml/)
    const html = await get('/article/a')
    assert.equal(html.headers.get('content-type'), 'text/html')
    assert.equal(html.headers.get('cache-control'), 'public, no-cache')
    const apps = ['/none', '/list', '/list?page=3', '/article/a?utm=1', '/article/a/', '/index', '/article/index']
    for (const url of [...apps, '/article/a.html', '/a', '/list%3Fpage=2', '/list%3Fpage=2.html']) {
      assert.equal(await body(url), `the app: ${url}`)
    }
  })

  test('addresses that mean to lead elsewhere reach the app or nobody', async () => {
    await writeFile(join(ground.directory, 'secret.html'), 'secret')
    await publish('/x/y', 'page of x/y')
    const raw = [
      '/../secret',
      '/x/../../secret',
      '/..%2fsecret',
      '/x%2fy',
      '//x/y',
      '/x//y',
      '/.ff-a.tmp',
      '/?/../../secret',
    ]
    for (const target of [...raw, '/x/y?/../../secret', '/?a=%2F..%2F..%2Fsecret', '/x%00y', '/x/./y', '/x%5c..%5cy']) {
      const answer = await rawGet(nginx, target)
      assert.ok(!answer.includes('secret\n') && !/\r\n\r\n(?:secret|page of)/.test(answer), `${target}: ${answer}`)
    }
  })

  test('compressed forms are served as they are, and go with a bake that has none', async () => {
    await publish('/large', `large ${filler}`)
    const packed = await get('/large', { 'accept-encoding': 'gzip' })
    assert.equal(packed.headers.get('content-encoding'), 'gzip')
    assert.equal(await packed.text(), `large ${filler}`)
    assert.deepEqual((await readdir(root)).filter((name) => name.startsWith('large')).toSorted(), [
      'large.html',
      'large.html.br',
      'large.html.gz',
    ])
    await publish('/large', 'small now')
    const plain = await get('/large', { 'accept-encoding': 'gzip' })
    assert.equal(plain.headers.get('content-encoding'), null)
    assert.equal(await plain.text(), 'small now')
  })

  test('two bakes of one second and one size are told apart by who asks whether a page is still good', async () => {
    const bakedAtMs = Date.now()
    await publish('/twice', 'title 1', { bakedAtMs })
    const etag = (await get('/twice')).headers.get('etag')!
    assert.equal((await get('/twice', { 'if-none-match': etag })).status, 304)
    await publish('/twice', 'title 2', { bakedAtMs })
    const again = await get('/twice', { 'if-none-match': etag })
    assert.equal(again.status, 200)
    assert.equal(await again.text(), 'title 2')
  })

  test('a page that is replaced while many read it is always there and whole', async () => {
    const page = (number: number): string => `<b>${number}</b>${`${number} `.repeat(100_000)}<i>${number}</i>`
    await publish('/busy', page(0))
    const end = new AbortController()
    const seen = new Set<string>()
    const read = async (encoding: string): Promise<void> => {
      while (!end.signal.aborted) {
        const answer = await get('/busy', { 'accept-encoding': encoding })
        const found = await answer.text()
        const number = /^<b>(\d+)<\/b>/.exec(found)?.[1]
        assert.equal(answer.status, 200)
        assert.ok(found === page(Number(number)), `torn: ${found.length} characters of page ${number}`)
        seen.add(number!)
      }
    }
    const readers = Promise.all(['gzip', 'gzip', 'identity', 'identity'].map(read))
    for (let number = 1; number <= 25; number += 1) await publish('/busy', page(number))
    end.abort()
    await readers
    assert.ok(seen.size > 5, `saw ${seen.size} bakes`)
    assert.equal(await body('/busy'), page(25))
  })

  test('what is no plain answer any more is removed, and comes back', async () => {
    await publish('/gone', `here ${filler}`)
    assert.equal(await body('/gone'), `here ${filler}`)
    await publish('/gone', 'not found', { status: 404 })
    assert.equal(await body('/gone'), 'the app: /gone')
    assert.deepEqual(
      (await readdir(root)).filter((name) => name.startsWith('gone')),
      [],
    )
    await publish('/gone', 'here again')
    assert.equal(await body('/gone'), 'here again')
    await publish('/gone', '', { status: 302, headers: ['location', '/'] })
    assert.equal(await body('/gone'), 'the app: /gone')
    await publish('/data.json', '{}', { type: 'application/json' })
    await publish('/data.json', 'html now')
    assert.equal(await body('/data.json'), 'html now')
    assert.deepEqual(
      (await readdir(root)).filter((name) => name.startsWith('data')),
      ['data.json.html'],
    )
  })

  test('a bake that is older never takes the place of a newer one, from whichever worker', async () => {
    const other = ground.worker({ store: await ground.connect(), publishers: [createDirectoryPublisher(root)] })
    const older = await ground.bake('older', { asOf: 5 })
    // The clock of the machine that baked first is ahead.
    const newer = await ground.bake('newer', { asOf: 6, bakedAtMs: Date.now() - 60_000 })
    worker.publish(nameOf('/order'), newer)
    await worker.settled()
    other.publish(nameOf('/order'), older)
    await other.settled()
    assert.equal(await body('/order'), 'newer')
    assert.equal(other.counts().superseded, 1)
    const many = await Promise.all(Array.from({ length: 40 }, (_, at) => ground.bake(`bake ${at}`, { asOf: 100 + at })))
    ground.bakes.set(nameOf('/order').id, many.at(-1)!)
    for (const [at, baked] of many.entries()) (at % 3 === 0 ? other : worker).publish(nameOf('/order'), baked)
    for (const each of [worker, other]) await each.settled()
    while (worker.counts().waiting + other.counts().waiting > 0)
      await Promise.all([worker.settled(), other.settled(), tick()])
    assert.equal(await body('/order'), 'bake 39')
  })

  test('a start puts right what was left undone, what somebody removed, and takes away what no page is any more', async () => {
    const urls = ['/repair/a', '/repair/b', '/repair/c', '/repair/d']
    for (const url of urls) {
      ground.bakes.set(nameOf(url).id, await ground.bake(`page ${url} ${filler}`))
      worker.publish(nameOf(url), ground.bakes.get(nameOf(url).id)!)
    }
    await worker.settled()
    await rm(join(root, 'repair/a.html'))
    await writeFile(join(root, 'repair/b.html.gz'), '')
    // It was baked, and the worker died.
    ground.bakes.set(nameOf('/repair/c').id, await ground.bake('page c, later'))
    const leftover = join(root, 'repair/.ff-killed.tmp')
    await writeFile(leftover, 'half')
    const next = ground.worker({ publishers: [createDirectoryPublisher(root)] })
    await next.repair(urls.slice(0, 3).map((url) => nameOf(url)))
    assert.equal(await body('/repair/a'), `page /repair/a ${filler}`)
    assert.equal(await body('/repair/b'), `page /repair/b ${filler}`)
    assert.equal(await body('/repair/c'), 'page c, later')
    assert.equal(next.counts().published, 3)
    const known: PublishedOnce[] = []
    for await (const one of next.published()) known.push(one)
    assert.ok(known.some(({ url, gone }) => url === '/repair/d' && !gone))
    assert.ok(!known.some(({ url }) => url === '/gone'), 'what was taken away already')
    next.drop({ ...nameOf('/repair/d'), id: '' })
    await next.settled()
    assert.equal(await body('/repair/d'), 'the app: /repair/d')
    const publisher = createDirectoryPublisher(root)
    assert.equal(await publisher.sweep!(AbortSignal.timeout(5_000)), 0)
    assert.equal((await stat(leftover)).size, 4)
  })

  test('a page that cannot be written is tried again', async () => {
    await writeFile(join(root, 'blocked'), 'a file where a folder should be')
    worker.publish(nameOf('/blocked/a'), await ground.bake('through'))
    ground.bakes.set(nameOf('/blocked/a').id, await ground.bake('through'))
    await worker.settled()
    assert.equal(worker.counts().failed, 1)
    await rm(join(root, 'blocked'))
    while (worker.counts().waiting > 0) await tick()
    await worker.settled()
    assert.equal(await readFile(join(root, 'blocked/a.html'), 'utf8'), 'through')
  })
})

test('temporary files of a killed worker are taken away when they are old', async (t) => {
  const ground = await publishGround(t)
  const root = join(ground.directory, 'pages')
  await mkdir(join(root, 'deep/er'), { recursive: true })
  await writeFile(join(root, 'deep/er/.ff-abc.tmp'), 'half')
  await writeFile(join(root, 'deep/er/a.html'), 'whole')
  await utimes(join(root, 'deep/er/a.html'), 1, 1)
  const publisher = createDirectoryPublisher(root, { leftoverAgeMs: -1_000 })
  assert.equal(await publisher.sweep!(AbortSignal.timeout(5_000)), 1)
  assert.deepEqual(await readdir(join(root, 'deep/er')), ['a.html'])
})

test('a worker that was paused past its lease and writes an older bake over a newer one puts that right', async (t) => {
  const ground = await publishGround(t)
  const root = join(ground.directory, 'pages')
  const name = nameOf('/paused')
  const [older, newer] = [await ground.bake('older', { asOf: 1 }), await ground.bake('newer', { asOf: 2 })]
  ground.bakes.set(name.id, newer)
  const file = (): Promise<string> => readFile(join(root, 'paused.html'), 'utf8').catch(() => 'none')
  const own = await ground.connect()
  const briefly = Object.assign(Object.create(own) as typeof own, {
    acquireLease: (key: string, holder: string) => own.acquireLease(key, holder, 30),
  })
  const directory = createDirectoryPublisher(root)
  let pauses = 0
  const publishers = [
    {
      ...directory,
      publish: async (...given: Parameters<typeof directory.publish>) => {
        pauses += 1
        if (pauses === 1) await waitFor('the other worker', async () => (await file()) === 'newer')
        await directory.publish(...given)
      },
    },
  ]
  const paused = ground.worker({ store: briefly, publishers, firstRetryMs: 5 })
  paused.publish(name, older)
  await waitFor('the pause', () => pauses === 1)
  const other = ground.worker({ publishers: [createDirectoryPublisher(root)] })
  other.publish(name, newer)
  await waitFor('both', () => other.counts().published === 1 && pauses === 2 && paused.counts().waiting === 0)
  await paused.settled()
  assert.equal(await file(), 'newer')
})

test('a worker may write where pages are published and nowhere else', async (t) => {
  const ground = await publishGround(t)
  const directory = join(ground.directory, 'not/there/yet')
  const once = new URL('../support/publish-once.ts', import.meta.url)
  const nodeArguments = publishingArguments({ publish: { directory } as ResolvedConfig['publish'] })
  const args = nodeArgumentsFor({ name: 'worker', entry: once, writes: 'refuse', nodeArguments })
  const publish = (folder: string): Promise<unknown> =>
    promisify(execFile)(process.execPath, [...args, fileURLToPath(once), folder], { timeout: 20_000 })
  await publish(directory)
  assert.deepEqual((await readdir(directory)).toSorted(), ['deep'])
  assert.equal(await readFile(join(directory, 'deep/kept.html'), 'utf8'), 'second'.repeat(500))
  await assert.rejects(publish(join(ground.directory, 'elsewhere')), /ERR_ACCESS_DENIED/)
})

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

/** Sends a target as it is: `fetch` would tidy it up. */
async function rawGet(base: string, target: string): Promise<string> {
  const { hostname, port } = new URL(base)
  const socket = connect(Number(port), hostname)
  socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  return await text(socket)
}
