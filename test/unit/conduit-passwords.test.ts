/** How Conduit keeps passwords. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

test('at full cost unless told otherwise, and only the password itself belongs to its hash', async () => {
  // As in an app: `npm test` itself names a smaller cost for all that it starts.
  delete process.env['CONDUIT_PASSWORD_COST']
  const { hashPassword, verifyPassword } = await import('../../examples/conduit/src/passwords.ts')
  const hash = await hashPassword('correct horse')
  assert.match(hash, /^scrypt\$16384\$8\$5\$[\w-]{22}\$[\w-]{43}$/)
  assert.equal(await verifyPassword('correct horse', hash), true)
  assert.equal(await verifyPassword('correct house', hash), false)
  assert.equal(await verifyPassword('correct horse', undefined), false)
})
