/** What RFC 9110 and 9111 say of answers like those for pages, each with its section. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

import { AnsweredPage, codingFor } from '../../src/pages/answer.ts'
import { documentOf, htmlResponse } from '../../src/pages/rendered.ts'

import type { PageAnswer } from '../../src/pages/answer.ts'
import type { PageDefinition } from '../../src/pages/define-page.ts'

const long = `<h1>page</h1>${'<p>text</p>'.repeat(300)}`
const when = 'Sun, 22 Nov 2026 08:00:00 GMT'

async function pageOf(rendered: string | Response, options: Partial<PageDefinition> = {}): Promise<AnsweredPage> {
  return new AnsweredPage(await documentOf({ path: '/page', ...options }, rendered, '/page'))
}

function fields({ headers }: PageAnswer): Map<string, string> {
  const found = new Map<string, string>()
  for (let at = 0; at < headers.length; at += 2) {
    assert.ok(!found.has(headers[at]!), `${headers[at]} stands once`)
    found.set(headers[at]!, headers[at + 1]!)
  }
  return found
}

const get = (page: AnsweredPage, headers: Record<string, string> = {}, method = 'GET'): PageAnswer =>
  page.answer({ method, headers })

test('8.6 the length is that of the representation, for HEAD too; a 204 has none', async () => {
  const page = await pageOf(long)
  for (const coding of ['br', 'gzip', 'identity']) {
    const whole = get(page, { 'accept-encoding': coding })
    const head = get(page, { 'accept-encoding': coding }, 'HEAD')
    assert.equal(fields(whole).get('content-length'), String(whole.body!.length))
    assert.deepEqual([head.headers, head.body], [whole.headers, null])
  }
  const empty = get(await pageOf(new Response(null, { status: 204 })))
  assert.equal(fields(empty).get('content-length'), undefined)
})

test('8.4 and 12.5.3 the coding is one that the client takes, the best of them, and none where it says nothing', async () => {
  const cases: readonly [string | undefined, string][] = [
    [undefined, 'identity'],
    ['', 'identity'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0, gzip;q=0', 'identity'],
    ['*', 'br'],
    ['*;q=0', 'identity'],
    ['gzip;q=0, *', 'br'],
    ['identity;q=1, br;q=0.5', 'identity'],
    ['br;q=nonsense', 'identity'],
    ['deflate', 'identity'],
    ['deflate,gzip,br', 'br'],
    ['brotli, gzipped', 'identity'],
    ['x-br, gzip', 'gzip'],
  ]
  for (const [accepted, coding] of cases) assert.equal(codingFor(accepted), coding, String(accepted))
  const page = await pageOf(long)
  assert.equal(brotliDecompressSync(get(page, { 'accept-encoding': 'br' }).body!).toString(), long)
  assert.equal(gunzipSync(get(page, { 'accept-encoding': 'gzip' }).body!).toString(), long)
  assert.equal(get(page).body!.toString(), long)
})

test('8.8.3.3 representations in different codings have different strong tags, and 12.5.5 all of them vary', async () => {
  const page = await pageOf(long)
  const answers = ['br', 'gzip', 'identity'].map((coding) => fields(get(page, { 'accept-encoding': coding })))
  assert.equal(new Set(answers.map((answer) => answer.get('etag'))).size, 3)
  for (const answer of answers) {
    assert.match(answer.get('etag')!, /^"[\w-]+"$/)
    assert.equal(answer.get('vary'), 'accept-encoding')
  }
  const short = fields(get(await pageOf('<p>short</p>'), { 'accept-encoding': 'br' }))
  assert.deepEqual([short.get('vary'), short.get('content-encoding')], [undefined, undefined])
})

test('8.8.1 another body, type or status is another tag; the same page has the same one', async () => {
  const tagOf = async (rendered: string | Response): Promise<string> => fields(get(await pageOf(rendered))).get('etag')!
  const tags = await Promise.all([
    tagOf(long),
    tagOf(`${long} `),
    tagOf(htmlResponse(long, 203)),
    tagOf(new Response(long, { headers: { 'content-type': 'text/plain' } })),
  ])
  assert.equal(new Set(tags).size, 4)
  assert.equal(await tagOf(long), tags[0])
})

test('13.1.2 If-None-Match compares weakly, with the tag of what would be sent, and wins over If-Modified-Since', async () => {
  const page = await pageOf(new Response(long, { headers: { 'content-type': 'text/html', 'last-modified': when } }))
  const codings = ['br', 'gzip', 'identity']
  const tags = codings.map((coding) => fields(get(page, { 'accept-encoding': coding })).get('etag')!)
  for (const [at, tag] of tags.entries()) {
    const coding = codings[at]!
    for (const given of [tag, `W/${tag}`, `"x", ${tag}`, tags.join(), '*', ' * ']) {
      const answer = get(page, { 'if-none-match': given, 'accept-encoding': coding })
      assert.deepEqual([answer.status, answer.body], [304, null], given)
      assert.equal(fields(answer).get('etag'), tag)
    }
    // What the client has is another representation than it would get.
    for (const given of ['"x"', 'W/"x"', tag.slice(1, -1), ...tags.filter((other) => other !== tag)]) {
      const answer = get(page, { 'if-none-match': given, 'if-modified-since': when, 'accept-encoding': coding })
      assert.equal(answer.status, 200, `${given} for ${coding}`)
    }
  }
})

test('13.1.3 If-Modified-Since counts where the page says when it was changed, and no date is no condition', async () => {
  const page = await pageOf(new Response(long, { headers: { 'last-modified': when } }))
  assert.equal(get(page, { 'if-modified-since': when }).status, 304)
  assert.equal(get(page, { 'if-modified-since': 'Sun, 22 Nov 2026 07:59:59 GMT' }).status, 200)
  assert.equal(get(page, { 'if-modified-since': 'yesterday' }).status, 200)
  assert.equal(get(await pageOf(long), { 'if-modified-since': when }).status, 200)
})

test('13.1.1 and 13.1.4 who wants a certain document gets no other', async () => {
  const page = await pageOf(new Response(long, { headers: { 'last-modified': when } }))
  const tag = fields(get(page)).get('etag')!
  assert.equal(get(page, { 'if-match': '"x"' }).status, 412)
  assert.equal(get(page, { 'if-match': `W/${tag}` }).status, 412, 'the strong comparison')
  assert.equal(get(page, { 'if-match': `"x", ${tag}` }).status, 200)
  assert.equal(get(page, { 'if-match': '*' }).status, 200)
  assert.equal(get(page, { 'if-match': tag, 'accept-encoding': 'br' }).status, 412, 'the tag of what would be sent')
  assert.equal(get(page, { 'if-unmodified-since': 'Sun, 22 Nov 2026 07:00:00 GMT' }).status, 412)
  assert.equal(get(page, { 'if-unmodified-since': when }).status, 200)
})

test('15.4.5 a 304 repeats what a cache needs, and nothing of the body', async () => {
  const page = await pageOf(long, { edge: { fresh: '1h', staleIfError: '1d' }, headers: { 'x-more': 'yes' } })
  const tag = fields(get(page, { 'accept-encoding': 'gzip' })).get('etag')!
  const answer = fields(get(page, { 'if-none-match': tag, 'accept-encoding': 'gzip' }))
  assert.deepEqual([...answer.keys()].toSorted(), ['cache-control', 'cdn-cache-control', 'etag', 'vary'])
  assert.equal(answer.get('cdn-cache-control'), 'max-age=3600, stale-if-error=86400')
})

test('13.2.1 conditions count only where the answer without them would be a 2xx', async () => {
  const conditions = { 'if-none-match': '*', 'if-match': '"x"', 'if-unmodified-since': 'Sun, 22 Nov 2020 07:00:00 GMT' }
  const moved = { location: '/elsewhere', 'last-modified': when }
  for (const [name, value] of Object.entries(conditions)) {
    assert.equal(get(await pageOf(htmlResponse(long, 404)), { [name]: value }).status, 404, name)
    const redirect = await pageOf(new Response(null, { status: 301, headers: moved }))
    assert.equal(get(redirect, { [name]: value }).status, 301, name)
  }
  const other = await pageOf(htmlResponse(long, 203))
  assert.equal(get(other, { 'if-none-match': '*' }).status, 304)
  assert.equal(get(other, { 'if-match': '"x"' }).status, 412)
})

test('9111 5.2.2 by default whoever keeps a page asks before it shows it again; what nobody may keep is refused', async () => {
  assert.equal(fields(get(await pageOf(long))).get('cache-control'), 'public, no-cache')
  assert.equal(
    fields(get(await pageOf(long, { browser: '90s' }))).get('cache-control'),
    'public, max-age=90, must-revalidate',
  )
  const own = new Response(long, { headers: { 'cache-control': 'max-age=5' } })
  assert.equal(fields(get(await pageOf(own))).get('cache-control'), 'max-age=5')
  for (const control of ['no-store', 'private', 'max-age=0, private', 'Private="x"']) {
    const refused = new Response(long, { headers: { 'cache-control': control } })
    await assert.rejects(pageOf(refused), { code: 'FF_PAGE_ANSWER' }, control)
  }
})

test('9110 12.5.5 what varies by the reader, sets a cookie, is in part or failed is no page', async () => {
  const refused: readonly ResponseInit[] = [
    { headers: { vary: 'cookie' } },
    { headers: { vary: '*' } },
    { headers: { vary: 'accept-encoding, accept-language' } },
    { headers: { 'set-cookie': 'a=b' } },
    { headers: { 'content-encoding': 'gzip' } },
    { status: 206 },
    { status: 500 },
    { status: 503 },
  ]
  for (const init of refused) {
    await assert.rejects(pageOf(new Response(long, init)), { code: 'FF_PAGE_ANSWER' }, JSON.stringify(init))
  }
  const kept = await pageOf(new Response(long, { headers: { vary: 'Accept-Encoding' } }))
  assert.equal(fields(get(kept)).get('vary'), 'accept-encoding')
})

test('15.4 redirects are pages too', async () => {
  const answer = get(await pageOf(new Response(null, { status: 301, headers: { location: '/elsewhere' } })))
  assert.deepEqual([answer.status, fields(answer).get('location'), answer.body!.length], [301, '/elsewhere', 0])
})

test('7.6.1 fields of one hop do not travel', async () => {
  const headers = { connection: 'x-hop', 'keep-alive': 'timeout=5', 'x-more': 'stays' }
  const answer = fields(get(await pageOf(new Response(long, { headers }))))
  assert.equal(answer.get('x-more'), 'stays')
  for (const name of ['connection', 'keep-alive', 'date', 'transfer-encoding'])
    assert.equal(answer.has(name), false, name)
})
