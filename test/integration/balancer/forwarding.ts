import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { cutIfStalled } from '../../../src/clones/balancer/exchange.ts'
import { startBalancer } from '../../../src/clones/balancer/balancer.ts'
import { silentLogger } from '../../../src/core/log.ts'
import { balance as balanceServers, openRaw } from '../../support/balanced.ts'
import { waitFor } from '../../support/wait-for.ts'

const named =
  (name: string): RequestListener =>
  (_request, response) =>
    void response.end(name)

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The refusal as the client reads it. */
async function refusal(response: Response): Promise<{ status: number; code: string }> {
  const { error } = (await response.json()) as { error: { code: string } }
  return { status: response.status, code: error.code }
}

/** What a balancer does with requests and answers, whichever way it talks to clones. */
export function testForwarding(way: string, nativeParser: boolean): void {
  const balance: typeof balanceServers = (t, listeners, options) =>
    balanceServers(t, listeners, { nativeParser, ...options })

  test(`${way}: requests spread over all clones, and the answer names its clone`, async (t) => {
    const { url } = await balance(t, [named('a'), named('b'), named('c')])
    const seen = new Map<string, string | null>()
    for (let count = 0; count < 60; count += 1) {
      const response = await fetch(url)
      seen.set(await response.text(), response.headers.get('x-fourfold-clone'))
    }
    assert.deepEqual(
      [...seen].toSorted(([a], [b]) => a.localeCompare(b)),
      [
        ['a', 'clone-1.1'],
        ['b', 'clone-2.1'],
        ['c', 'clone-3.1'],
      ],
    )
  })

  test(`${way}: bodies of every size and framing arrive whole, and come back whole`, async (t) => {
    const { url } = await balance(t, [
      async (request, response) => {
        const body = await readAll(request)
        response.setHeader(
          'x-framing',
          request.headers['transfer-encoding'] ?? `length ${request.headers['content-length']}`,
        )
        response.end(body)
      },
    ])
    for (const size of [0, 1, 1000, 65_536, 65_537, 3_000_000]) {
      const body = randomBytes(size)
      const response = await fetch(url, { method: 'POST', body })
      assert.equal(response.headers.get('x-framing'), `length ${size}`)
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(body))
      const chunked = await fetch(url, {
        method: 'PUT',
        body: new Blob([body]).stream(),
        duplex: 'half',
      } as RequestInit)
      if (size > 0) assert.equal(chunked.headers.get('x-framing'), 'chunked')
      assert.ok(Buffer.from(await chunked.arrayBuffer()).equals(body))
    }
  })

  test(`${way}: HEAD, 204, 304, several cookies, trailers and early hints pass through`, async (t) => {
    const { url, port } = await balance(t, [
      (request, response) => {
        if (request.url === '/204') return void response.writeHead(204).end()
        if (request.url === '/304') return void response.writeHead(304, { etag: '"x"' }).end()
        if (request.url === '/hints') response.writeEarlyHints({ link: '</style.css>; rel=preload' })
        if (request.url === '/trailers') {
          response.writeHead(200, { trailer: 'x-sum' })
          response.write('body')
          response.addTrailers({ 'x-sum': '42' })
          return void response.end()
        }
        response.setHeader('set-cookie', ['a=1', 'b=2'])
        response.setHeader('content-length', 4)
        response.end('body')
      },
    ])
    const head = await fetch(url, { method: 'HEAD' })
    assert.equal(head.headers.get('content-length'), '4')
    assert.deepEqual(head.headers.getSetCookie(), ['a=1', 'b=2'])
    assert.equal((await fetch(`${url}/204`)).status, 204)
    const unchanged = await fetch(`${url}/304`)
    assert.deepEqual([unchanged.status, unchanged.headers.get('etag')], [304, '"x"'])
    const request = httpRequest({ port, path: '/hints' }).end()
    const [hints] = (await once(request, 'information')) as [{ statusCode: number; headers: Record<string, string> }]
    assert.deepEqual([hints.statusCode, hints.headers['link']], [103, '</style.css>; rel=preload'])
    request.destroy()
    const withTrailers = httpRequest({ port, path: '/trailers' }).end()
    const [answer] = (await once(withTrailers, 'response')) as [IncomingMessage]
    await readAll(answer)
    assert.equal(answer.trailers['x-sum'], '42')
  })

  test(`${way}: what a clone is told about the client cannot be spoofed`, async (t) => {
    const { url } = await balance(t, [(request, response) => void response.end(JSON.stringify(request.headers))])
    const response = await fetch(url, {
      headers: {
        'x-forwarded-for': '1.1.1.1',
        forwarded: 'for=1.1.1.1',
        'x-real-ip': '1.1.1.1',
        'x-request-id': 'mine',
      },
    })
    const seen = (await response.json()) as Record<string, string>
    assert.equal(seen['x-forwarded-for'], '127.0.0.1')
    assert.match(seen['forwarded'] ?? '', /^for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/)
    assert.equal(seen['x-real-ip'], undefined)
    assert.equal(seen['x-request-id'], 'mine')
    assert.equal(response.headers.get('x-request-id'), 'mine')
  })

  test(`${way}: bytes that are no unambiguous request are refused and never forwarded`, async (t) => {
    let forwarded = 0
    const { port } = await balance(t, [(_request, response) => void response.end(String((forwarded += 1)))])
    const head = 'POST / HTTP/1.1\r\nHost: a\r\n'
    const smuggled = [
      `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
      `${head}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
      `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
      `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      `${head}Content-Length: -1\r\n\r\n`,
      `${head}Content-Length: 0x5\r\n\r\nhello`,
      `${head}Host: b\r\nContent-Length: 0\r\n\r\n`,
      'POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
      'GET / HTTP/1.1\nHost: a\n\n',
      'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\rX-B: 2\r\n\r\n',
      'GET example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n',
      'CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n',
      'TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      'GARBAGE\r\n\r\n',
    ]
    for (const bytes of smuggled) {
      const raw = openRaw(t, port, bytes)
      await waitFor(`a refusal of ${JSON.stringify(bytes)}`, () => raw.received().includes('\r\n\r\n'))
      assert.match(raw.received(), /^HTTP\/1\.1 400 /, bytes)
      raw.socket.destroy()
    }
    assert.equal(forwarded, 0)
  })

  test(`${way}: a malformed chunk ends the request at the clone too`, async (t) => {
    let outcome = ''
    const { port } = await balance(t, [
      (request, response) => {
        outcome = 'begun'
        readAll(request).then(
          () => response.end('whole'),
          (error: NodeJS.ErrnoException) => (outcome = error.code ?? ''),
        )
      },
    ])
    const raw = openRaw(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await waitFor('the clone to see its beginning', () => outcome === 'begun')
    raw.socket.write('ZZ\r\n')
    assert.match(await raw.closed, /^HTTP\/1\.1 400 /)
    await waitFor('the clone to see the request break off', () => outcome === 'ECONNRESET')
  })

  test(`${way}: limits of size and time are answered 413, 431, 408 and 504, and the client can read it`, async (t) => {
    const { url, port } = await balance(
      t,
      [
        (request, response) =>
          void (
            request.url === '/never' ||
            readAll(request).then(
              () => response.end('ok'),
              () => undefined,
            )
          ),
      ],
      {
        bodyLimitBytes: 100_000,
        bufferLimitBytes: 10_000,
        headerTimeoutMs: 200,
        bodyTimeoutMs: 200,
        requestTimeoutMs: 300,
      },
    )
    const big = Buffer.alloc(5_000_000)
    assert.deepEqual(await refusal(await fetch(url, { method: 'POST', body: big })), {
      status: 413,
      code: 'FF_BALANCER_BODY_TOO_LARGE',
    })
    const chunked = await fetch(url, { method: 'POST', body: new Blob([big]).stream(), duplex: 'half' } as RequestInit)
    assert.equal(chunked.status, 413)
    const headers = await fetch(url, { headers: { 'x-big': 'x'.repeat(20_000) } })
    assert.deepEqual(await refusal(headers), { status: 431, code: 'FF_BALANCER_HEADERS_TOO_LARGE' })
    assert.deepEqual(await refusal(await fetch(`${url}/never`)), { status: 504, code: 'FF_BALANCER_UPSTREAM_TIMEOUT' })
    const slow = [
      'GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nhe',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n',
    ]
    for (const bytes of slow) {
      const raw = openRaw(t, port, bytes)
      await waitFor(`a 408 for ${JSON.stringify(bytes)}`, () => raw.received().startsWith('HTTP/1.1 408 '))
      raw.socket.destroy()
    }
  })

  test(`${way}: 100-continue is sent for a body that fits, and a larger one is refused before it is sent`, async (t) => {
    const { port } = await balance(
      t,
      [(request, response) => void readAll(request).then((body) => response.end(body))],
      {
        bodyLimitBytes: 100,
      },
    )
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n'
    const fits = openRaw(t, port, `${head}Content-Length: 5\r\n\r\n`)
    await waitFor('the go-ahead', () => fits.received().startsWith('HTTP/1.1 100 Continue\r\n'))
    fits.socket.write('hello')
    assert.match(await fits.closed, /hello$/)
    const large = openRaw(t, port, `${head}Content-Length: 500\r\n\r\n`)
    await waitFor('the refusal', () => large.received().startsWith('HTTP/1.1 413 '))
  })

  test(`${way}: without a clone the answer is 503, as JSON or as a page, and says when to come back`, async (t) => {
    const { url, balancer } = await balance(t, [])
    const response = await fetch(url)
    assert.equal(response.headers.get('retry-after'), '1')
    assert.deepEqual(await refusal(response), { status: 503, code: 'FF_BALANCER_NO_UPSTREAM' })
    const page = await fetch(url, { headers: { accept: 'text/html,*/*;q=0.8' } })
    assert.equal(page.status, 503)
    assert.match(await page.text(), /<h1>503 Service Unavailable<\/h1>/)
    assert.equal((await fetch(`${url}/.fourfold/health`)).status, 503)
    balancer.setUpstreams([{ id: 'x', address: { host: '127.0.0.1', port: 1 }, buildId: '' }])
    assert.equal((await fetch(`${url}/.fourfold/health`)).status, 200)
  })

  test(`${way}: a clone that refuses connections costs no request, whatever the method and body`, async (t) => {
    const { url, servers } = await balance(t, [
      named('dead'),
      async (request, response) =>
        void response.end(
          createHash('md5')
            .update(await readAll(request))
            .digest('hex'),
        ),
    ])
    const body = randomBytes(300_000)
    await new Promise((resolve) => servers[0]?.close(resolve))
    for (let count = 0; count < 30; count += 1) {
      const small = await fetch(url, { method: 'POST', body: 'x' })
      const large = await fetch(url, { method: 'POST', body })
      assert.deepEqual([small.status, large.status], [200, 200])
      assert.equal(await large.text(), createHash('md5').update(body).digest('hex'))
      await small.text()
    }
  })

  test(`${way}: a request that was sent is sent again only if its method is idempotent`, async (t) => {
    let asked = 0
    const breaks: RequestListener = (request) => {
      asked += 1
      request.socket.destroy()
    }
    const { url } = await balance(t, [breaks, named('answered')], { bodyLimitBytes: 1000 })
    // Until the broken clone was asked once: more would be a matter of the budget, which on a slow machine runs out.
    for (let count = 0; count < 50; count += 1) {
      assert.equal(await (await fetch(url)).text(), 'answered')
      if (asked > 0) break
    }
    assert.ok(asked > 0)
    const only = await balance(t, [breaks, breaks])
    asked = 0
    assert.deepEqual(await refusal(await fetch(only.url, { method: 'POST', body: 'x' })), {
      status: 502,
      code: 'FF_BALANCER_UPSTREAM_FAILED',
    })
    assert.equal(asked, 1)
    assert.equal((await fetch(only.url)).status, 502)
    assert.equal(asked, 4)
  })

  test(`${way}: when every clone fails, retries stay within their budget`, async (t) => {
    let asked = 0
    const { url } = await balance(t, [(request) => void ((asked += 1), request.socket.destroy())])
    for (let count = 0; count < 50; count += 1) assert.equal((await fetch(url)).status, 502)
    assert.ok(asked > 50 && asked <= 60, `asked ${asked} times for 50 requests`)
  })

  test(`${way}: half an answer is never passed off as a whole one`, async (t) => {
    const { url } = await balance(t, [
      (_request, response) => {
        response.write('half')
        setImmediate(() => response.socket?.destroy())
      },
    ])
    await assert.rejects(fetch(url).then((response) => response.text()))
  })

  test(`${way}: requests beyond the limit wait for their turn, then get 503`, async (t) => {
    const held: (() => void)[] = []
    const { url } = await balance(t, [(_request, response) => void held.push(() => response.end('done'))], {
      maxInFlight: 2,
      queueTimeoutMs: 300,
      queueLimit: 2,
    })
    const first = [fetch(url), fetch(url)]
    await waitFor('two in flight', () => held.length === 2)
    const waiting = [fetch(url), fetch(url)]
    // Whichever of the five is one too many is refused at once; two more wait.
    const refusedAtOnce = await Promise.race([...waiting, fetch(url)])
    assert.deepEqual(await refusal(refusedAtOnce), { status: 503, code: 'FF_BALANCER_BUSY' })
    held.shift()?.()
    await waitFor('one from the queue', () => held.length === 2)
    // The other one's time in the queue is over before anything else ends.
    const last = await Promise.race([
      fetch(url).then((response) => response.status),
      ...waiting.map((answer) => answer.then((response) => response.status)),
    ])
    assert.equal(last, 503)
    for (const end of held) end()
    for (const answer of first) assert.equal((await answer).status, 200)
  })

  test(`${way}: a client that goes away cancels its request at the clone`, async (t) => {
    let cancelled = false
    let begun = false
    const { url } = await balance(t, [
      (_request, response) => {
        begun = true
        response.once('close', () => (cancelled = !response.writableFinished))
      },
    ])
    const leaving = new AbortController()
    const answer = fetch(url, { signal: leaving.signal }).catch(() => 'left')
    await waitFor('the clone to begin', () => begun)
    leaving.abort()
    assert.equal(await answer, 'left')
    await waitFor('the clone to be told', () => cancelled)
  })

  test(`${way}: a slow client slows the clone, and a slow clone slows the client`, async (t) => {
    let written = 0
    let taken = 0
    const total = 60_000_000
    const { port } = await balance(
      t,
      [
        (request, response) => {
          if (request.method === 'POST') {
            request.on('readable', () => undefined)
            return
          }
          const chunk = Buffer.alloc(100_000)
          const more = (): void => {
            while (written < total) {
              written += chunk.length
              if (!response.write(chunk)) return void response.once('drain', more)
            }
            response.end()
          }
          more()
        },
      ],
      { bodyLimitBytes: total * 2 },
    )
    const reader = openRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    reader.socket.pause()
    const writer = openRaw(t, port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`)
    const chunk = Buffer.alloc(100_000)
    const send = (): void => {
      while (taken < total) {
        taken += chunk.length
        if (!writer.socket.write(chunk)) return void writer.socket.once('drain', send)
      }
    }
    send()
    let before = -1
    await waitFor('both to come to a halt', async () => {
      const now = written + taken
      const halted = now === before && written > 0 && taken > 0
      before = now
      await new Promise((resolve) => setTimeout(resolve, 100))
      return halted
    })
    assert.ok(written < total / 2, `the clone wrote ${written} bytes that nobody read`)
    assert.ok(taken < total / 2, `the client sent ${taken} bytes that nobody read`)
  })

  test(`${way}: a connection whose answer waited for its client to the end serves the next request`, async (t) => {
    let halves = 0
    const { url, port } = await balance(t, [
      (request, response) => {
        if (request.url === '/fill') return void response.end(Buffer.alloc(50_000_000))
        if (request.url !== '/halves') return void response.end('small')
        response.write(Buffer.alloc(50_000))
        // The second half comes when the first is on its way, and finds no room for itself.
        setTimeout(() => response.end(Buffer.alloc(50_000), () => (halves += 1)), 20)
      },
    ])
    const head = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
    const reader = openRaw(t, port, head('/fill') + head('/halves').repeat(3))
    reader.socket.pause()
    await waitFor('the clone to have answered', () => halves === 3)
    for (let count = 0; count < 10; count += 1) {
      const others = Array.from({ length: 5 }, () => fetch(url, { signal: AbortSignal.timeout(3000) }))
      for (const other of await Promise.all(others)) assert.equal(await other.text(), 'small')
    }
  })

  test(`${way}: an event stream arrives event by event, does not hold up a drain, and ends with it`, async (t) => {
    let goOn = (): void => undefined
    const { url, balancer } = await balance(t, [
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.flushHeaders()
        setTimeout(() => response.write('data: 1\n\n'), 20)
        goOn = () => response.write('data: 2\n\n')
      },
    ])
    const response = await fetch(url)
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
    assert.equal((await reader.read()).value, 'data: 1\n\n')
    goOn()
    assert.equal((await reader.read()).value, 'data: 2\n\n')
    assert.equal(await balancer.drain('clone-1.1', 1000), 0)
    assert.equal((await reader.read()).done, true)
  })

  test(`${way}: a clone that drains gets nothing new and finishes what it has`, async (t) => {
    const held: (() => void)[] = []
    const slow: RequestListener = (request, response) =>
      void (request.url === '/slow' ? held.push(() => response.end('slow')) : response.end('draining'))
    const { url, balancer, upstreams } = await balance(t, [slow, named('other')])
    balancer.setUpstreams(upstreams.slice(0, 1))
    const inFlight = fetch(`${url}/slow`)
    await waitFor('the slow request', () => held.length === 1)
    balancer.setUpstreams(upstreams)
    let drained = false
    const drain = balancer.drain('clone-1.1', 5000).then((left) => ((drained = true), left))
    for (let count = 0; count < 20; count += 1) assert.equal(await (await fetch(url)).text(), 'other')
    assert.equal(drained, false)
    held[0]?.()
    assert.equal(await (await inFlight).text(), 'slow')
    assert.equal(await drain, 0)
  })

  test(`${way}: a drain that takes too long says how many requests are left`, async (t) => {
    let begun = false
    const { url, balancer } = await balance(t, [() => void (begun = true)])
    const cut = fetch(url).catch(() => undefined)
    await waitFor('the request', () => begun)
    assert.equal(await balancer.drain('clone-1.1', 50), 1)
    await balancer.stop(0)
    await cut
  })

  test(`${way}: an unhealthy clone is passed over, unless all are unhealthy`, async (t) => {
    const { url, balancer, upstreams } = await balance(t, [named('a'), named('b')])
    balancer.setUpstreams(upstreams.map((upstream, index) => ({ ...upstream, healthy: index === 1 })))
    for (let count = 0; count < 20; count += 1) assert.equal(await (await fetch(url)).text(), 'b')
    balancer.setUpstreams(upstreams.map((upstream) => ({ ...upstream, healthy: false })))
    assert.equal((await fetch(url)).status, 200)
  })

  test(`${way}: HTTP/1.0 and absolute targets are served`, async (t) => {
    const { port } = await balance(t, [
      (request, response) => {
        response.write(`${request.url} `)
        response.end(request.headers.host)
      },
    ])
    const old = openRaw(t, port, 'GET /old HTTP/1.0\r\nHost: a\r\n\r\n')
    const text = await old.closed
    assert.match(text, /\r\n\r\n\/old a$/)
    assert.doesNotMatch(text, /transfer-encoding/i)
    const absolute = openRaw(t, port, 'GET http://b.example/abs?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert.match(await absolute.closed, /\/abs\?x /)
  })

  test(`${way}: stopping finishes what is in flight and takes nothing new`, async (t) => {
    const held: (() => void)[] = []
    const { url, balancer } = await balance(t, [(_request, response) => void held.push(() => response.end('done'))])
    const inFlight = fetch(url)
    await waitFor('the request', () => held.length === 1)
    const stopped = balancer.stop(2000)
    await assert.rejects(fetch(url))
    held[0]?.()
    assert.equal(await (await inFlight).text(), 'done')
    await stopped
  })

  test(`${way}: a port that is taken gives an error that names it and says what to do`, async (t) => {
    const { port } = await balance(t, [])
    await assert.rejects(startBalancer({ port, log: silentLogger }), {
      code: 'FF_BALANCER_LISTEN',
      message: new RegExp(`port ${port} is taken by another process.*--port ${port + 1}`),
    })
  })

  test(`${way}: a request at a clone that stops answering is taken back and answered by another, if that is safe`, async (t) => {
    let held = 0
    const { url, balancer, upstreams } = await balance(t, [() => void (held += 1), named('other')])
    balancer.setUpstreams(upstreams.slice(0, 1))
    const read = fetch(url)
    const leaving = new AbortController()
    const write = fetch(url, { method: 'POST', body: 'x', signal: leaving.signal }).then(
      () => 'answered',
      () => 'left',
    )
    await waitFor('both to be held', () => held === 2)
    balancer.setUpstreams(upstreams)
    balancer.setUpstreams(upstreams.map((upstream, index) => ({ ...upstream, healthy: index === 1 })))
    assert.equal(await (await read).text(), 'other')
    leaving.abort()
    assert.equal(await write, 'left')
    assert.equal(held, 2)
  })

  test(`${way}: an error in a pipelined request never lands inside the answer before it`, async (t) => {
    const held: (() => void)[] = []
    const { port } = await balance(t, [(_request, response) => void held.push(() => response.end('first'))])
    const raw = openRaw(t, port, 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n')
    await waitFor('both to be held', () => held.length === 2)
    for (const answer of held) answer()
    const answers = (await raw.closed).split(/(?=HTTP\/1\.1 )/)
    assert.deepEqual(
      answers.map((answer) => [answer.slice(9, 12), answer.slice(-5), /connection: close/i.test(answer)]),
      [
        ['200', 'first', false],
        ['200', 'first', true],
      ],
    )
  })

  test(`${way}: an answer whose last piece nobody takes does not wait for ever`, async (t) => {
    const cut = Promise.withResolvers<boolean>()
    // Than the system keeps for a connection.
    const more = Buffer.alloc(64 * 1024 * 1024)
    const server = createServer((_request, response) => {
      response.on('close', () => cut.resolve(!response.writableFinished))
      response.end(more)
      cutIfStalled(response, 50)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const { socket } = openRaw(t, (server.address() as AddressInfo).port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    socket.pause()
    assert.equal(await cut.promise, true)
  })

  test(`${way}: many small bodies that wait for their rest hold no more than the limit; others are streamed`, async (t) => {
    const lengths: (string | undefined)[] = []
    const { url, port } = await balance(
      t,
      [
        async (request, response) => {
          lengths.push(request.headers['content-length'])
          response.end(String((await readAll(request)).length))
        },
      ],
      { bufferTotalBytes: 10_000 },
    )
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n'
    // Twice, because what is held must be given back.
    for (const before of [0, 4]) {
      const slow = Array.from({ length: 3 }, () => openRaw(t, port, head + 'x'.repeat(4000)))
      await waitFor('one to reach the clone', () => lengths.length > before)
      await (await fetch(url)).text()
      assert.equal(lengths.length, before + 2, 'two of them fit, and are not sent yet')
      for (const { socket } of slow) socket.write('x'.repeat(1000))
      for (const { closed } of slow) assert.match(await closed, /5000$/)
    }
    const rest = ['5000', '5000']
    assert.deepEqual(lengths, ['5000', undefined, ...rest, '5000', undefined, ...rest])
  })

  test(`${way}: bodies that come slowly take no places of other requests`, async (t) => {
    let begun = 0
    const { url, port } = await balance(
      t,
      [
        async (request, response) => {
          begun += 1
          await readAll(request)
          response.end('done')
        },
      ],
      { maxInFlight: 2, queueTimeoutMs: 100 },
    )
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n'
    const slow = Array.from({ length: 2 }, () => openRaw(t, port, head))
    await waitFor('both to reach the clone', () => begun === 2)
    assert.equal((await fetch(url)).status, 200)
    assert.equal((await fetch(url, { method: 'POST', body: 'small' })).status, 200)
    const large = (): Promise<Response> => fetch(url, { method: 'POST', body: 'x'.repeat(100_000) })
    assert.deepEqual(await refusal(await large()), { status: 503, code: 'FF_BALANCER_BUSY' })
    for (const { socket } of slow) socket.write('0\r\n\r\n')
    for (const { closed } of slow) assert.match(await closed, /done/)
    assert.equal((await large()).status, 200)
  })
}
