import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { addressFromUrl } from '../../src/engines/postgres/address.ts'
import { isFourfoldError } from '../../src/core/errors.ts'

test('a URL gives a plain address', () => {
  assert.deepEqual(
    addressFromUrl('postgresql://me:p%40ss@db.example:6543/shop?application_name=x&options=-c%20a%3Db'),
    {
      host: 'db.example',
      port: 6543,
      user: 'me',
      password: 'p@ss',
      database: 'shop',
      application_name: 'x',
      options: '-c a=b',
    },
  )
  assert.deepEqual(addressFromUrl('postgres://me@db.example'), {
    host: 'db.example',
    port: 5432,
    user: 'me',
    database: 'me',
  })
})

test('a socket directory may stand as host or as parameter', () => {
  assert.equal(addressFromUrl('postgres://me@%2Frun%2Fpostgresql/shop').host, '/run/postgresql')
  assert.equal(addressFromUrl('postgres://me@/shop?host=/run/postgresql&port=5433').host, '/run/postgresql')
  assert.equal(addressFromUrl('postgres:///shop?host=/run/postgresql&user=me').user, 'me')
})

test('TLS follows sslmode, and options win over it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fourfold-address-'))
  t.after(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'ca.pem'), 'authority')
  const ssl = (query: string): unknown => addressFromUrl(`postgres://me@h/d?${query}`).ssl
  assert.equal(ssl(''), undefined)
  assert.equal(ssl('sslmode=disable'), false)
  assert.deepEqual(ssl('sslmode=require'), { rejectUnauthorized: false })
  assert.deepEqual(ssl('sslmode=verify-full'), { rejectUnauthorized: true })
  assert.deepEqual(ssl(`sslmode=require&sslrootcert=${directory}/ca.pem`), {
    rejectUnauthorized: true,
    ca: 'authority',
  })
  assert.deepEqual(addressFromUrl('postgres://me@h/d?sslmode=disable', { ca: 'x' }).ssl, { ca: 'x' })
})

test('what cannot be honoured is an error that names the place and hides the password', () => {
  for (const url of [
    'mysql://me@h/d',
    'postgres://me:hush@h/d?sslmode=prefer',
    'postgres://me:hush@h/d?pgbouncer=true',
    'postgres://me:hush@a,b/d',
    'postgres://:hush@h/d',
    'postgres://me:hush@h/d?sslrootcert=/nowhere',
  ]) {
    assert.throws(
      () => addressFromUrl(url, undefined, 'databases.main.url'),
      (error) =>
        isFourfoldError(error, 'FF_ENGINE_ADDRESS') &&
        error.message.startsWith('databases.main.url: ') &&
        !error.message.includes('hush'),
      url,
    )
  }
})
