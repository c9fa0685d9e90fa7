/** Whose word about the client counts: the balancer's, wherever it is, and nobody else's. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { isBalanced, markBalanced } from '../../src/clones/balanced-request.ts'
import { createTrust } from '../../src/clones/balancer/trust.ts'
import { credentialFor, credentialHeader, credentialKeys } from '../../src/clones/hosts/credential.ts'
import { guardServer } from '../../src/clones/hosts/gate.ts'
import { isRequestSecure } from '../../src/http/express/request-cookie.ts'
import { clientAddress } from '../../src/http/guards/client-address.ts'
import { isSecure } from '../../src/http/secure.ts'

const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.7' }

test('a balancer on another host is believed once it has proven itself, and nobody else there', () => {
  const request = { headers: forwarded, socket: { remoteAddress: '10.0.0.5' } }
  const trust = createTrust([])
  assert.equal(isSecure(request, 'auto'), false)
  assert.equal(clientAddress(request, trust), '10.0.0.5')
  markBalanced(request)
  assert.equal(isSecure(request, 'auto'), true)
  assert.equal(clientAddress(request, trust), '203.0.113.7')
  assert.equal(isRequestSecure(request as never, undefined), true)
  assert.equal(isRequestSecure(request as never, false), false)
  assert.equal(isRequestSecure({ ...request } as never, undefined), false, 'a copy has proven nothing')
})

test('the gate marks what a balancer with the secrets has sent', async (t) => {
  const keys = credentialKeys(['a secret of at least thirty-two characters'])
  const seen: boolean[] = []
  const server = createServer((request: IncomingMessage, response) => {
    seen.push(isBalanced(request))
    response.end()
  })
  guardServer(server, { keys, id: () => 'clone-1', pauses: { check: () => undefined, recently: () => false } })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const good = await fetch(url, { headers: { [credentialHeader]: credentialFor(keys, 'clone-1') } })
  assert.equal(good.status, 200)
  assert.equal((await fetch(url, { headers: { [credentialHeader]: 'nonsense' } })).status, 421)
  assert.deepEqual(seen, [true])
})
