/** Reading and writing cookies, and whether a browser came over TLS. */

import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { it } from 'node:test'
import fc from 'fast-check'
import { isSecure } from '../../src/http/secure.ts'
import { readCookie, serializeCookie } from '../../src/sessions/cookies.ts'
import { formatTicket, newTicket, parseTicket } from '../../src/sessions/session-record.ts'

it('a cookie is found by its whole name, the first of two counts', () => {
  assert.equal(readCookie('a=1; ff_session=x.y; ff_session=z', 'ff_session'), 'x.y')
  assert.equal(readCookie('my_ff_session=1;ff_session2=2', 'ff_session'), null)
  assert.equal(readCookie('a=b=c', 'a'), 'b=c')
  assert.equal(readCookie(undefined, 'a'), null)
})

it('any header is read without an error', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1 }), (header, name) => {
      const found = readCookie(header, name)
      return found === null || typeof found === 'string'
    }),
  )
})

it('what is written is read again', () => {
  const line = serializeCookie('ff_pin', 'a.b-c_d', { secure: true, maxAgeSeconds: 10 })
  assert.equal(readCookie(line.split(';')[0], '__Host-ff_pin'), 'a.b-c_d')
})

it('a ticket of any reader survives its text, and any text is a ticket or null', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 0, max: 8.64e15 }), (reader, created) => {
      const ticket = newTicket(reader.toWellFormed(), created)
      assert.deepEqual(parseTicket(formatTicket(ticket)), ticket)
    }),
  )
  fc.assert(fc.property(fc.string(), (text) => parseTicket(text) === null || typeof parseTicket(text)?.id === 'string'))
})

it('a forwarded protocol is believed from the loopback address only', () => {
  const ask = (remoteAddress: string | undefined, proto?: string, encrypted?: boolean): boolean =>
    isSecure(
      { socket: { remoteAddress, encrypted }, headers: { 'x-forwarded-proto': proto } } as unknown as IncomingMessage,
      'auto',
    )
  assert.equal(ask('127.0.0.1', 'https'), true)
  assert.equal(ask('::ffff:127.0.0.1', 'https'), true)
  assert.equal(ask('::1', 'https'), true)
  assert.equal(ask('127.0.0.1', 'http'), false)
  assert.equal(ask('127.0.0.1', 'https, http'), false)
  assert.equal(ask('127.0.0.1'), false)
  assert.equal(ask('10.0.0.9', 'https'), false)
  assert.equal(ask('127.0.0.1.evil', 'https'), false)
  assert.equal(ask(undefined, 'https'), false)
  assert.equal(ask('10.0.0.9', undefined, true), true)
})
