/** Reading HAR files: what is replayed of a recorded visit, and what is taken from live answers. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { parseHar } from '../../src/cli/check/har.ts'
import { showText } from '../../src/cli/check/report.ts'

import type { Script, Text } from '../../src/cli/check/script.ts'

interface Recorded {
  readonly method?: string
  readonly url: string
  readonly headers?: Record<string, string>
  readonly sent?: string
  readonly type?: string
  readonly answer?: string
}

function har(...entries: readonly Recorded[]): string {
  const recorded = entries.map(({ method = 'GET', url, headers = {}, sent, type = 'text/html', answer = '' }) => ({
    request: {
      method,
      url,
      headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
      ...(sent === undefined ? {} : { postData: { mimeType: '', text: sent } }),
    },
    response: { status: 200, content: { mimeType: type, text: answer } },
  }))
  return JSON.stringify({ log: { version: '1.2', entries: recorded } })
}

const read = (...entries: readonly Recorded[]): Script => parseHar(har(...entries), 'visit.har')
const shown = (text: Text | null | undefined): string => showText(text ?? [])

suite('HAR files', () => {
  test('requests to other hosts, cookies and what belongs to a connection or a cache are left out', () => {
    const { requests } = read(
      { url: 'https://fonts.example/a.woff', type: 'font/woff' },
      {
        url: 'https://app.example/page?a=1',
        headers: {
          ':authority': 'app.example',
          Cookie: 'sid=1',
          Accept: 'text/html',
          'Accept-Encoding': 'br',
          'If-None-Match': '"1"',
        },
      },
      { url: 'https://stats.example/collect', method: 'POST' },
    )
    assert.equal(requests.length, 1)
    const [request] = requests
    assert.deepEqual(
      [request!.place, request!.method, shown(request!.target)],
      ['visit.har#1', 'GET', 'https://app.example/page?a=1'],
    )
    assert.deepEqual(
      request!.headers.map(([name]) => name),
      ['Accept'],
    )
  })

  test('a token from an answer is taken from the live answer, in headers, bodies and addresses', () => {
    const { requests } = read(
      {
        url: 'https://app.example/login',
        method: 'POST',
        sent: '{"name":"ada-1234567"}',
        type: 'application/json',
        answer: '{"user":{"name":"ada-1234567","token":"abc123def456"}}',
      },
      {
        url: 'https://app.example/items/abc123def456',
        method: 'POST',
        headers: { Authorization: 'Bearer abc123def456' },
        sent: '{"by":"ada-1234567"}',
      },
    )
    const [, item] = requests
    const token = '{{entry-1…$.user.token}}'
    assert.equal(shown(item!.target), `https://app.example/items/${token}`)
    assert.equal(shown(item!.headers[0]?.[1]), `Bearer ${token}`)
    // Typed by the visitor before any answer held it.
    assert.equal(shown(item!.body), '{"by":"ada-1234567"}')
  })

  test('a hidden field of the latest form is taken from the live page, encoded as in the recording', () => {
    const form = (token: string): string => `<input value="${token}" type="hidden" name="_csrf">`
    const { requests } = read(
      { url: 'https://app.example/a', answer: form('same/token+1=') },
      { url: 'https://app.example/b', answer: form('same/token+1=') },
      { url: 'https://app.example/b', method: 'POST', sent: 'text=hi&_csrf=same%2Ftoken%2B1%3D' },
    )
    const body = requests[2]!.body ?? []
    assert.equal(shown(body), 'text=hi&_csrf={{entry-2…_csrf}}')
    assert.deepEqual(body[1], { kind: 'answer', request: 'entry-2', from: 'field', path: '_csrf', encoded: true })
  })

  const mistakes: readonly (readonly [what: string, source: string, message: RegExp])[] = [
    ['no JSON', '<html>', /^visit\.har: this is not JSON/],
    ['other JSON', '{"log":{}}', /^visit\.har: this is no HAR file: expected log\.entries/],
    ['no entries', '{"log":{"entries":[]}}', /^visit\.har: there is no request in it/],
    [
      'an entry without an address',
      '{"log":{"entries":[{"request":{"method":"GET","url":"/x"}}]}}',
      /^visit\.har#1: expected/,
    ],
    ['an entry that is nothing', '{"log":{"entries":[null]}}', /^visit\.har#1: expected/],
  ]
  for (const [what, source, message] of mistakes) {
    test(`a file that is no recorded visit is refused: ${what}`, () => {
      assert.throws(() => parseHar(source, 'visit.har'), { code: 'FF_CHECK_SCRIPT', message })
    })
  }
})
