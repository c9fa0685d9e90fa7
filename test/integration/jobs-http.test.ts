/** The front end's side of jobs, on each framework: orders, how they stand, events, keys that make an order one. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import Fastify from 'fastify'

import { defineJob, JobFailure, type JobContext } from '../../src/jobs/define-job.ts'
import { withDeadline } from '../../src/core/deadline.ts'
import { fourfold } from '../../src/http/fastify.ts'
import { startJobServer } from '../support/job-servers.ts'
import { jobsGround, schemaOf } from '../support/jobs-ground.ts'
import { pageAdapters } from '../support/page-servers.ts'
import { readEvents } from '../support/server-sent-events.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Server } from 'node:http'

const gates = new Map<string, PromiseWithResolvers<void>>()
const act = defineJob<{ act: string; text?: string }, any, any>({
  name: 'act',
  input: schemaOf((value: any) => (typeof value?.act === 'string' ? null : 'act: expected a text')),
  retry: 0,
  unique: ({ act: does }) => (does.startsWith('alone-') ? does : `${Math.random()}`),
})
const perform = async ({ input, progress }: JobContext<any>): Promise<unknown> => {
  if (input.act === 'fail') throw new Error('a secret of the app')
  if (input.act === 'refuse') throw new JobFailure('no such user')
  if (input.act === 'echo') return input.text ?? null
  progress(0.5, 'half of it')
  await gates.get(input.act)?.promise
  return { after: input.act }
}

interface Seen {
  readonly id: string
  readonly event: string
  readonly data: any
}

for (const adapter of pageAdapters) {
  suite(`jobs by HTTP, with ${adapter}`, () => {
    const identify = ({ headers }: any): string | null => headers['x-user'] ?? null
    const ground = jobsGround({ jobs: [act.handle(perform)], identify })
    let server: Server
    let base = ''
    const ask = (path: string, { as = 'ann', ...init }: RequestInit & { as?: string } = {}): Promise<Response> =>
      fetch(base + path, {
        ...init,
        headers: { 'x-user': as, ...(init.headers as object) },
        signal: AbortSignal.timeout(15_000),
      })
    const order = (does: string, headers: Record<string, string> = {}, more = ''): Promise<Response> =>
      ask(`/order?act=${does}${more}`, { method: 'POST', headers })
    const gate = (): string => {
      const name = `gate-${Math.random()}`
      gates.set(name, Promise.withResolvers())
      return name
    }
    // What is done by then is answered itself.
    const locationOf = ({ headers }: Response): string =>
      headers.get('location') ?? headers.get('content-location') ?? assert.fail('expected a location')
    const stateOf = async (path: string): Promise<string> => ((await (await ask(path)).json()) as any).state

    before(async () => {
      await ground().worker()
      ;({ server, base } = await startJobServer(adapter, ground().ff, act))
    })
    after(() => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())))

    test('an order is accepted, can be asked for by its owner alone, and ends', async () => {
      const name = gate()
      const answer = await order(name)
      assert.equal(answer.status, 202)
      const path = locationOf(answer)
      assert.match(path, /^\/jobs\/\d+$/)
      assert.equal(answer.headers.get('retry-after'), '1')
      await waitFor('it runs', async () => (await stateOf(path)) === 'running')
      assert.equal((await ask(path, { as: 'bob' })).status, 404)
      assert.equal((await ask(`${path}/events`, { as: 'bob' })).status, 404)
      assert.equal((await ask(path, { as: 'bob', method: 'DELETE' })).status, 404)
      assert.equal((await fetch(base + path)).status, 404)
      const jobsOf = (reader: string) => ground().ff.as({ reader }).jobs
      assert.equal((await jobsOf('ann').own<typeof act>(path.slice('/jobs/'.length)))?.state, 'running')
      for (const id of [path.slice('/jobs/'.length), 'x', '0', '']) assert.equal(await jobsOf('bob').own(id), null, id)
      gates.get(name)!.resolve()
      await waitFor('it is done', async () => (await stateOf(path)) === 'done')
      const done = await ask(path)
      assert.equal(done.headers.get('retry-after'), null)
      assert.equal(done.headers.get('cache-control'), 'private, no-cache')
      assert.deepEqual(((await done.json()) as any).output, { after: name })
    })

    test('an input that does not fit is refused in the schema’s words', async () => {
      const answer = await ask('/order', { method: 'POST' })
      assert.equal(answer.status, 422)
      assert.match(await answer.text(), /act: expected a text/)
    })

    test('events tell how far it is, and the end; who comes back hears what is newer, and 204 after the end', async () => {
      const name = gate()
      const path = locationOf(await order(name))
      const first = await ask(`${path}/events`)
      assert.match(first.headers.get('content-type')!, /^text\/event-stream/)
      const seen: Seen[] = []
      for await (const event of eventsOf(first)) {
        seen.push(event)
        if (event.data.message === 'half of it') gates.get(name)!.resolve()
      }
      assert.deepEqual([seen.at(-1)!.event, seen.at(-1)!.data.output], ['done', { after: name }])
      assert.ok(seen.slice(0, -1).every(({ event }) => event === 'progress'))
      const ids = seen.map(({ id }) => Number(id))
      assert.deepEqual(
        ids,
        [...new Set(ids)].toSorted((one, other) => one - other),
      )
      const again = await ask(`${path}/events`, { headers: { 'last-event-id': seen[0]!.id } })
      const rest: Seen[] = []
      for await (const event of eventsOf(again)) rest.push(event)
      assert.deepEqual(rest, [seen.at(-1)])
      assert.equal((await ask(`${path}/events`, { headers: { 'last-event-id': seen.at(-1)!.id } })).status, 204)
      // No version of this job: of the time before a database was put back, perhaps.
      for (const unknown of ['9999', '', 'x']) {
        const told: Seen[] = []
        const answer = await ask(`${path}/events`, { headers: { 'last-event-id': unknown } })
        for await (const event of eventsOf(answer)) told.push(event)
        assert.deepEqual(told, [seen.at(-1)], unknown)
      }
    })

    test('whoever asks for the head of the events alone follows nothing', async () => {
      const name = gate()
      const path = locationOf(await order(name))
      const answer = await ask(`${path}/events`, { method: 'HEAD' })
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/event-stream; charset=utf-8'])
      // Another that follows shows that the first would be seen by now.
      const gone = new AbortController()
      await fetch(`${base}${path}/events`, { headers: { 'x-user': 'ann' }, signal: gone.signal })
      await waitFor('the other follows', () => ground().ff.jobs.watching > 0)
      assert.equal(ground().ff.jobs.watching, 1)
      gone.abort()
      gates.get(name)!.resolve()
      await waitFor('it is done', async () => (await stateOf(path)) === 'done')
    })

    test('the same order twice is one job; another with its key is refused', async () => {
      const key = { 'idempotency-key': `"${Math.random()}"` }
      const answers = await Promise.all(Array.from({ length: 8 }, () => order('echo', key)))
      const places = new Set(
        answers
          .filter(({ status }) => status < 300)
          .map(({ headers }) => headers.get('location') ?? headers.get('content-location')),
      )
      assert.equal(places.size, 1)
      assert.ok(answers.every(({ status }) => [200, 202, 409].includes(status)))
      const again = await order('echo', key)
      assert.equal(again.headers.get('location') ?? again.headers.get('content-location'), [...places][0])
      assert.equal((await order('echo', key, '&text=other')).status, 422)
      const bobs = await ask('/order?act=echo', { method: 'POST', headers: key, as: 'bob' })
      assert.notEqual(bobs.headers.get('location') ?? bobs.headers.get('content-location'), [...places][0])
      assert.equal((await order('echo', { 'idempotency-key': 'without quotes' })).status, 400)
    })

    // What follows is the same code for all of them.
    if (adapter !== 'fastify') return

    test('an order that was named and whose job is not kept any more is not said to wait', async () => {
      const key = { 'idempotency-key': `"${Math.random()}"` }
      const path = locationOf(await order('echo', key))
      await waitFor('it is done', async () => (await stateOf(path)) === 'done')
      await ground().outside.query('delete from fourfold.finished_jobs where id = $1', [path.split('/').at(-1)])
      assert.equal((await order('echo', key)).status, 410)
    })

    test('an order that meets somebody else’s is told so, and not where that is', async () => {
      const name = `alone-${Math.random()}`
      gates.set(name, Promise.withResolvers())
      const path = locationOf(await order(name))
      assert.equal(locationOf(await order(name)), path)
      for (const headers of [{}, { 'idempotency-key': `"${Math.random()}"` }]) {
        const answer = await ask(`/order?act=${name}`, { method: 'POST', headers, as: 'bob' })
        assert.deepEqual([answer.status, answer.headers.get('location')], [409, null])
      }
      const key = { 'idempotency-key': `"${Math.random()}"` }
      const bobs = (): Promise<Response> => ask(`/order?act=${name}`, { method: 'POST', headers: key, as: 'bob' })
      assert.equal((await bobs()).status, 409)
      gates.get(name)!.resolve()
      await waitFor('it is done', async () => (await stateOf(path)) === 'done')
      // What was refused has ordered nothing: the same request may come again.
      const again = await bobs()
      assert.equal(again.status, 202)
      assert.notEqual(locationOf(again), path)
    })

    test('an answer that is known already is 304', async () => {
      const path = locationOf(await order('echo'))
      await waitFor('it is done', async () => (await stateOf(path)) === 'done')
      const etag = (await ask(path)).headers.get('etag')!
      assert.equal((await ask(path, { headers: { 'if-none-match': etag } })).status, 304)
      assert.equal((await ask(path, { headers: { 'if-none-match': '"other"' } })).status, 200)
      assert.equal((await ask(path, { method: 'HEAD' })).headers.get('etag'), etag)
    })

    test('who would rather wait gets the end, or 202 when the time is over', async () => {
      const quick = await order('echo', { prefer: 'respond-async, wait=10' }, '&text=here')
      assert.equal(quick.status, 200)
      assert.equal(quick.headers.get('preference-applied'), 'wait=10')
      assert.equal(((await quick.json()) as any).output, 'here')
      const name = gate()
      const slow = await order(name, { prefer: 'wait=1' })
      assert.equal(slow.status, 202)
      const waiting = ask(locationOf(slow), { headers: { prefer: 'wait=10' } })
      gates.get(name)!.resolve()
      assert.equal(((await (await waiting).json()) as any).state, 'done')
    })

    test('who waits is answered at once where their clone ends', async (t) => {
      const { worker, ff } = ground()
      const ending = await worker({ works: false })
      const { server: other, base: at } = await startJobServer(adapter, ending, act)
      t.after(() => new Promise((resolve) => (other.close(resolve), other.closeAllConnections())))
      const name = gate()
      const headers = { 'x-user': 'ann', prefer: 'wait=20' }
      const signal = AbortSignal.timeout(10_000)
      const ordering = fetch(`${at}/order?act=${name}`, { method: 'POST', headers, signal })
      await waitFor('it waits', () => ending.jobs.watching > 0)
      const [{ id }] = (await ground().outside.query(`select max(id) as id from fourfold.jobs`)).rows
      const asking = fetch(`${at}/jobs/${id}`, { headers, signal })
      await waitFor('both wait', () => ending.jobs.watching > 1)
      ending.jobs.endStreams()
      const beganMs = performance.now()
      assert.deepEqual([(await ordering).status, (await ordering).headers.get('location')], [202, `/jobs/${id}`])
      assert.deepEqual([(await asking).status, ((await (await asking).json()) as any).id], [200, id])
      assert.ok(performance.now() - beganMs < 2_000)
      gates.get(name)!.resolve()
      await ff.jobs.wait(id)
    })

    test('nobody who follows a job keeps the server from its end', async (t) => {
      const { ff } = ground()
      const app = Fastify()
      await app.register(fourfold, { ff })
      const at = await app.listen({ port: 0 })
      const { id } = await ff.as({ reader: 'ann' }).jobs.enqueue(act, { act: 'echo' }, { delay: '1h' })
      const follow = await fetch(`${at}/jobs/${id}/events`, { headers: { 'x-user': 'ann' } })
      t.after(() => app.server.closeAllConnections())
      assert.equal(follow.status, 200)
      await withDeadline(app.close(), 3_000, 'the end of the server')
      await follow.text()
      assert.equal(ff.jobs.watching, 0)
    })

    test('of a failure the owner is told what was meant for them', async () => {
      for (const [does, error] of [
        ['fail', 'The job has failed'],
        ['refuse', 'no such user'],
      ]) {
        const answer = await order(does!, { prefer: 'wait=10' })
        assert.deepEqual([answer.status, ((await answer.json()) as any).error], [200, error])
      }
    })

    test('a reader who goes leaves nothing behind', async () => {
      const name = gate()
      const path = locationOf(await order(name))
      const leave = new AbortController()
      const answer = await fetch(`${base}${path}/events`, { headers: { 'x-user': 'ann' }, signal: leave.signal })
      await answer.body!.getReader().read()
      leave.abort()
      await waitFor('nobody follows it', () => ground().ff.jobs.watching === 0)
      gates.get(name)!.resolve()
    })

    test('it is cancelled by its owner', async () => {
      const path = locationOf(await order(gate()))
      await waitFor('it runs', async () => (await stateOf(path)) === 'running')
      assert.equal((await ask(path, { method: 'DELETE' })).status, 202)
      await waitFor('it is cancelled', async () => (await stateOf(path)) === 'cancelled')
      assert.equal((await ask(path, { method: 'DELETE' })).status, 409)
      const wrong = await ask(path, { method: 'PUT' })
      assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD, DELETE'])
    })

    test('what is no address of a job is the app’s', async () => {
      for (const path of ['/jobs', '/jobs/x', '/jobs/0', '/jobs/1/other', '/jobsters/1']) {
        assert.notEqual((await ask(path)).headers.get('content-type'), 'application/problem+json', path)
      }
      assert.equal((await ask('/jobs/999999999')).status, 404)
    })
  })
}

async function* eventsOf(answer: Response): AsyncGenerator<Seen> {
  for await (const { id, event, data } of readEvents(answer)) yield { id, event, data: JSON.parse(data) }
}
