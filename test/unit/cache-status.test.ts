import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CacheStatus } from '../../src/cache/status.ts'
import { RequestContext } from '../../src/http/request-context.ts'
import { RouteBakes } from '../../src/pages/route-bakes.ts'

const part = (replica: boolean) => ({ parts: [{ replica }] }) as never

test('each look-up is a member that says what served it, or why nothing did', () => {
  const status = new CacheStatus()
  assert.equal(String(status), '')
  status.add('article', 'memory', null, part(false))
  status.add('article', 'tier', 'absent', part(true))
  status.add('query', 'load', 'row', part(false))
  status.add('query', 'load', 'absent', null)
  status.add('feed', 'joined', 'table', part(false))
  status.add('feed', 'load', 'database', null)
  assert.deepEqual(String(status).split(', '), [
    'fourfold; hit; key="article"; detail=memory',
    'fourfold; hit; key="article"; detail=tier; replica',
    'fourfold; fwd=stale; stored; key="query"; detail=row',
    'fourfold; fwd=miss; key="query"; detail=absent',
    'fourfold; fwd=stale; collapsed; key="feed"; detail=joined',
    'fourfold; fwd=bypass; key="feed"; detail=database',
  ])
})

test('many look-ups are counted in place of being told', () => {
  const status = new CacheStatus()
  for (let at = 0; at < 27; at += 1) status.add('article', 'memory', null, part(false))
  const members = String(status).split(', ')
  assert.equal(members.length, 21)
  assert.equal(members.at(-1), 'fourfold; detail="7 more"')
})

test('an answer tells it only where the adapter was asked to, and where something was looked up', async () => {
  const told = async (cacheStatus: boolean, text: string): Promise<string | undefined> => {
    const context = new RequestContext({
      host: {
        sessions: { secure: false, cookieName: () => 'ff_session', signer: { verify: () => null } },
        config: { databases: {} },
        as: () => ({ scope: { settled: true }, cache: { status: () => text } }),
        carryTokens: async () => true,
        pages: { bakes: new RouteBakes() },
      } as never,
      raw: { headers: {}, socket: {} } as never,
      kept: { reader: 'user', handedOver: false },
      cacheStatus,
    })
    void context.ff
    return (await context.finish(200)).headers['cache-status']
  }
  assert.equal(await told(true, 'fourfold; hit'), 'fourfold; hit')
  assert.equal(await told(true, ''), undefined)
  assert.equal(await told(false, 'fourfold; hit'), undefined)
})
