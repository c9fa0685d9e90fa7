/** Workers of jobs: which jobs they take, and when. */

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'

import { defineJob } from '../../src/jobs/define-job.ts'
import { ORDER_ONE_SQL } from '../../src/jobs/postgres/orders.ts'
import { anything, jobsGround } from '../support/jobs-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

suite('a worker of jobs', () => {
  const limited = defineJob<any>({ name: 'limited', input: anything, concurrency: 100 })
  const other = defineJob<any>({ name: 'other', input: anything, concurrency: 100 })
  const trivial = defineJob<any>({ name: 'trivial', input: anything })
  const quiet = defineJob<any>({ name: 'quiet', input: anything })
  const long = defineJob<any>({ name: 'long', input: anything })
  const rated = defineJob<any>({ name: 'rated', input: anything, rateLimit: { limit: 10, per: '1s' } })
  const begun: number[] = []
  const definitions = [
    ...[limited, other].map((contract) => contract.handle(() => pause(70) as never)),
    trivial.handle(() => null),
    quiet.handle(() => null),
    long.handle(({ input, signal }) => pause(input, undefined, { signal }) as never),
    rated.handle(() => void begun.push(performance.now()) as never),
  ]
  const ground = jobsGround({ jobs: definitions })
  const one = { workers: { concurrency: 1 } }
  const ended = async (ff: Fourfold<any>, id: string) =>
    (await ff.jobs.wait(id, { timeout: '10s' })) ?? assert.fail('expected a job')
  const warm = async (ff: Fourfold<any>): Promise<void> => {
    const inputs = Array.from({ length: 300 }, () => ({}))
    for (const { id } of await ff.jobs.enqueueMany(trivial, inputs)) await ended(ff, id)
  }

  for (const [many, single] of [
    [limited, other],
    [other, limited],
  ] as const) {
    test(`a backlog of ${many.name} ones keeps no other name from its turn`, async () => {
      const { ff, worker, outside } = ground()
      const inputs = Array.from({ length: 50 }, () => ({}))
      await ff.jobs.enqueueMany(many, inputs)
      const { id } = await ff.jobs.enqueue(single, {})
      const running = await worker({ config: one })
      await ended(ff, id)
      const left = (await ff.jobs.counts()).find(({ name }) => name === many.name)
      assert.ok((left?.waiting ?? 0) > 30, `${left?.waiting} are left`)
      await running.close()
      await outside.query('truncate fourfold.jobs')
    })
  }

  test('a rate holds for what begins, however busy its worker is', async () => {
    const { ff, worker } = ground()
    const running = await worker({ config: one })
    await warm(ff)
    const busy = [850, 1].map((ms) => ff.jobs.enqueue(long, ms))
    await pause(50)
    const ids = await ff.jobs.enqueueMany(
      rated,
      Array.from({ length: 20 }, () => ({})),
    )
    for (const { id } of await Promise.all(busy)) await ended(ff, id)
    for (const { id } of ids) await ended(ff, id)
    const most = Math.max(...begun.map((ms) => begun.filter((at) => at >= ms && at < ms + 950).length))
    assert.ok(most <= 10, `${most} began within 950 ms`)
    await running.close()
  })

  test('what a busy worker would take ahead is left to one that is free', async () => {
    const { ff, worker } = ground()
    const busy = await worker({ config: one })
    await warm(ff)
    const held = await ff.jobs.enqueue(long, 3_000)
    while ((await ff.jobs.find(held.id))?.state !== 'running') await pause(10)
    await pause(100)
    const waits: number[] = []
    const free = await worker({ config: one })
    for (let round = 0; round < 12; round += 1) {
      const beganMs = performance.now()
      await ended(ff, (await ff.jobs.enqueue(trivial, {})).id)
      waits.push(Math.round(performance.now() - beganMs))
    }
    assert.ok(Math.max(...waits) < 700, waits.join(' '))
    await free.close()
    await busy.close()
  })

  test('what nobody has called for is found within its second, however often others are', async () => {
    const { ff, worker, outside } = ground()
    const one = await worker()
    await warm(ff)
    const { rows } = await outside.query(ORDER_ONE_SQL, ['quiet', '{}', null, null, null, 0, 0, 1])
    const id = rows[0].id as string
    const over = new AbortController()
    const calling = (async () => {
      while (!over.signal.aborted) {
        await ff.jobs.enqueue(trivial, {})
        await pause(20)
      }
    })()
    const beganMs = performance.now()
    await ended(ff, id)
    const tookMs = performance.now() - beganMs
    over.abort()
    await calling
    assert.ok(tookMs < 3_000, `${tookMs} ms`)
    await one.close()
  })

  test('a worker whose database says nothing any more stops in its time', async (t) => {
    const { ff, worker, connections } = ground()
    const { main } = connections.databases
    const endpoint = await startMutableEndpoint(t, main!.primary)
    const primary = { ...main!.primary, host: '127.0.0.1', port: endpoint.port }
    const databases = { ...connections.databases, main: { ...main!, primary, direct: primary } }
    const config = { workers: { grace: '500ms' } }
    const mute = await worker({ connections: { ...connections, databases }, config })
    const { id } = await ff.jobs.enqueue(long, 60_000)
    await waitFor('it runs', async () => (await ff.jobs.find(id))?.state === 'running')
    endpoint.mute()
    const beganMs = performance.now()
    await mute.close()
    const tookMs = performance.now() - beganMs
    assert.ok(tookMs < 14_000, `${tookMs} ms`)
    await ff.jobs.cancel(id)
  })
})

/** An address of a server that may take all that is said from then on, and say nothing. */
async function startMutableEndpoint(
  t: TestContext,
  server: { readonly host: string; readonly port: number },
): Promise<{ readonly port: number; mute(): void }> {
  const open = new Set<Socket>()
  let isMute = false
  const listener = createServer((client) => {
    const upstream = connect(join(server.host, `.s.PGSQL.${server.port}`))
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one)
      one.on('error', () => undefined)
      one.on('data', (bytes) => isMute || other.write(bytes))
      one.once('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    listener.close()
    for (const one of open) one.destroy()
  })
  return { port: (listener.address() as AddressInfo).port, mute: () => (isMute = true) }
}
