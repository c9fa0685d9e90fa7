/** File names of pages: inside the directory, one for each address, found by what a web server makes of an address. */

import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { fileNameFor, fileNamesFor } from '../../src/pages/publish/file-name.ts'

const html = 'text/html; charset=utf-8'

test('pages lie where static hosts look for them', () => {
  const named = (url: string): string | null => fileNameFor(url, html)
  assert.equal(named('/'), 'index.html')
  assert.equal(named('/article/a'), 'article/a.html')
  assert.equal(named('/news/'), 'news/index.html')
  assert.equal(named('/list?page=2'), 'list?page=2.html')
  assert.equal(named('/?page=2'), 'index?page=2.html')
  assert.equal(named('/caf%C3%A9/%E2%98%95'), 'café/☕.html')
  assert.equal(named('/a.html'), 'a.html.html')
  assert.equal(named('/wiki/Talk:v1.0'), 'wiki/Talk:v1.0.html')
  assert.equal(fileNameFor('/feed.xml', 'application/rss+xml'), 'feed.xml')
  assert.equal(fileNameFor('/sitemap.xml', 'application/xml; charset=utf-8'), 'sitemap.xml')
})

test('what has no safe name has none', () => {
  const odd = ['/..', '/../etc/passwd', '/%2e%2e/x', '/a%2Fb', '/a//b', '/.x', '/a/.git/x', '/a%00', '/a%0A', '/a%5Cb']
  const long = [`/${'a'.repeat(201)}`, `/${'%E2%98%95'.repeat(70)}`, `/x?q=${'a'.repeat(250)}`, '/a'.repeat(1_500)]
  const taken = ['/index', '/a/index', '/a.html/b', '/a.xml/b', '/a.gz/b', '/a.br/b', '/a.HTML/b']
  const broken = ['/%', '/%zz', '/%ff', '/%ed%a0%80', 'a', '', '/a%3Fb']
  for (const url of [...odd, ...long, ...taken, ...broken]) assert.equal(fileNameFor(url, html), null, url)
})

test('what is no HTML has a name where its ending says what it is', () => {
  assert.equal(fileNameFor('/feed', 'application/rss+xml'), null)
  assert.equal(fileNameFor('/feed.txt', 'application/rss+xml'), null)
  assert.equal(fileNameFor('/a.gz', 'application/gzip'), null)
  assert.equal(fileNameFor('/a.html', 'text/plain'), null)
  assert.equal(fileNameFor('/feed.xml?page=2', 'application/rss+xml'), null)
  assert.equal(fileNameFor('/feed.constructor', 'text/plain'), null)
  assert.equal(fileNameFor('/a', null), null)
})

const segment = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    'a',
    'A',
    'index',
    'a.html',
    'a.html.gz',
    'a.xml',
    '.ff-x.tmp',
    'a?b=c.html',
    '%',
    'é',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
)
const anyUrl = fc
  .tuple(
    fc.array(segment, { minLength: 1, maxLength: 3 }),
    fc.option(fc.constantFrom('?a=1', '?a=1.html', '?a=%2F..%2F'), { nil: '' }),
  )
  .map(([segments, query]) => `/${segments.map(encodeWell).join('/')}${query}`)

test('no address leads outside or to a hidden file, no two share a file, and none is a folder of another', () => {
  const owners = new Map<string, string>()
  const folders = new Map<string, string>()
  fc.assert(
    fc.property(anyUrl, fc.constantFrom(html, 'application/xml'), (url, type) => {
      const name = fileNameFor(url, type)
      if (name === null) return
      assert.ok(fileNamesFor(url).includes(name), url)
      const segments = name.split('/')
      assert.equal(posix.normalize(name), name)
      for (const part of segments) assert.ok(part !== '' && !part.startsWith('.') && Buffer.byteLength(part) <= 205)
      for (const file of [name, `${name}.gz`, `${name}.br`]) {
        const owner = owners.get(file)
        assert.ok(owner === undefined || owner === url, `${owner} and ${url} share ${file}`)
        assert.ok(!folders.has(file), `${file} of ${url} is a folder of ${folders.get(file)}`)
        owners.set(file, url)
      }
      for (let at = 1; at < segments.length; at += 1) {
        const folder = segments.slice(0, at).join('/')
        assert.ok(!owners.has(folder), `a folder of ${url} is the file of ${owners.get(folder)}`)
        folders.set(folder, url)
      }
    }),
    { numRuns: 5_000 },
  )
})

function encodeWell(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}
