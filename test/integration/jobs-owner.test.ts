/** Who may see a job, in an app that names nobody: whoever has the session, and nobody at the same browser behind its end. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import Fastify, { type LightMyRequestResponse } from 'fastify'

import { fourfold } from '../../src/http/fastify.ts'
import { defineJob } from '../../src/jobs/define-job.ts'
import { anything, jobsGround } from '../support/jobs-ground.ts'

const tell = defineJob<any, any, any>({ name: 'tell', input: anything })

suite('the owner of a job', () => {
  const ground = jobsGround({ jobs: [tell.handle(() => 'a secret')] })

  for (const first of ['/order', '/nothing']) {
    test(`is not whoever comes to their browser when they have logged out, after ${first}`, async (t) => {
      const { ff } = ground()
      const app = Fastify()
      t.after(() => app.close())
      await app.register(fourfold, { ff })
      app.post('/nothing', async () => 'nothing')
      app.post('/login', async ({ session }) => (await session.regenerate(), session.set('user', 1)))
      app.post('/logout', async ({ session }) => await session.destroy())
      app.post('/order', async (request, reply) => reply.send(await request.ff.jobs.accept(tell, {}, request)))
      const ask = browserOf((method, url, cookie) => app.inject({ method, url, headers: { cookie } }))
      await ask('POST', first)
      await ask('POST', '/login')
      const path = String((await ask('POST', '/order')).headers['location'])
      assert.equal((await ask('GET', path)).statusCode, 200)
      await ask('POST', '/logout')
      assert.equal((await ask('GET', path)).statusCode, 404)
      await ask('POST', '/login')
      assert.equal((await ask('GET', path)).statusCode, 404)
    })
  }
})

type Ask = (method: 'GET' | 'POST', url: string) => Promise<LightMyRequestResponse>

/** Keeps cookies. */
function browserOf(send: (...asked: [...Parameters<Ask>, cookie: string]) => ReturnType<Ask>): Ask {
  const jar = new Map<string, string>()
  return async (method, url) => {
    const answer = await send(method, url, [...jar].map(([name, value]) => `${name}=${value}`).join('; '))
    for (const { name, value } of answer.cookies) {
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
}
