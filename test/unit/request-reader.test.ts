/** Who reads and writes once the answer has begun: an event stream goes on for long. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { RequestReader } from '../../src/http/request-reader.ts'
import type { Session } from '../../src/sessions/session.ts'
import { createSigner } from '../../src/sessions/signer.ts'

function open(sessionReader: string | null): RequestReader {
  return new RequestReader({
    signer: createSigner(['a secret of at least thirty-two characters']),
    headers: {},
    secure: false,
    session: () => ({ reader: sessionReader }) as Session,
    carry: async () => true,
  })
}

it('a write after the answer has begun moves the token of the session that the client has', async () => {
  const reader = open('anon:session')
  reader.close()
  assert.equal(await reader.ensure(), 'anon:session')
})

it('a write after the answer has begun, of a client that cannot be told its reader, is refused a token', async () => {
  const reader = open(null)
  reader.close()
  await assert.rejects(reader.ensure(), { code: 'FF_SESSION_LATE' })
})
