/** Supervisor, balancer process and clones together, under load, with real signals. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { Agent, request } from 'undici'
import { routeClones, routesKnown } from '../../src/clones/routing.ts'
import { createSupervisor, type Supervisor } from '../../src/clones/supervisor.ts'
import { silentLogger } from '../../src/core/log.ts'
import { waitFor } from '../support/wait-for.ts'

const cloneEntry = new URL('../support/clone-app.ts', import.meta.url)
const balancerEntry = new URL('../../src/app/processes/balancer.ts', import.meta.url)

interface System {
  readonly supervisor: Supervisor
  readonly url: string
}

async function start(t: TestContext, clones: number, port = 0): Promise<System> {
  const supervisor = createSupervisor({
    log: silentLogger,
    backoff: { firstMs: 20, maxMs: 200 },
    health: { intervalMs: 100, answerMs: 400, killMs: 1200 },
  })
  t.after(() => supervisor.stop())
  routeClones({ supervisor })
  await supervisor.run({
    kind: 'clone',
    count: clones,
    spec: () => ({ entry: cloneEntry, settings: { writes: 'refuse' }, writes: 'refuse', graceMs: 3000 }),
  })
  await supervisor.run({
    kind: 'balancer',
    count: 1,
    together: false,
    spec: () => ({ entry: balancerEntry, settings: { port, logLevel: 'silent', graceMs: 2000 } }),
  })
  const address = supervisor.members('balancer')[0]?.address
  assert.ok(address !== undefined && 'port' in address)
  const url = `http://127.0.0.1:${address.port}`
  await routesKnown(supervisor)
  assert.equal(await usable(url), clones)
  return { supervisor, url }
}

async function usable(url: string): Promise<number> {
  const health = (await (await fetch(`${url}/.fourfold/health`)).json()) as { upstreams: { usable: number } }
  return health.upstreams.usable
}

interface Load {
  readonly counts: Map<string, number>
  stop(): Promise<void>
}

/** Clients that ask again and again; what each answer was is counted by method and status. */
function load(t: TestContext, url: string, clients: number, method: 'GET' | 'POST'): Load {
  const counts = new Map<string, number>()
  const agent = new Agent({ connections: clients })
  const ending = new AbortController()
  const client = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const path = method === 'GET' ? `${url}/slow?ms=${Math.floor(Math.random() * 20)}` : `${url}/digest`
      const outcome = await request(path, {
        method,
        dispatcher: agent,
        body: method === 'POST' ? 'x'.repeat(100) : null,
      }).then(
        async ({ statusCode, body }) => {
          await body.dump()
          return String(statusCode)
        },
        (error: Error & { code?: string }) => error.code ?? error.message,
      )
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      // The machine should be busy, not drowned: processes are started beside this.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const running = Array.from({ length: clients }, client)
  let stopped: Promise<void> | undefined
  const finish = async (): Promise<void> => {
    ending.abort()
    await Promise.all(running)
    await agent.close()
  }
  const stop = (): Promise<void> => (stopped ??= finish())
  t.after(stop)
  return { counts, stop }
}

const total = (counts: Map<string, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0)

test('a rolling restart under load loses no request', async (t) => {
  const { supervisor, url } = await start(t, 2)
  const reads = load(t, url, 6, 'GET')
  const writes = load(t, url, 6, 'POST')
  await waitFor('load', () => total(reads.counts) > 100 && total(writes.counts) > 100)
  await supervisor.restart('clone')
  await supervisor.setCount('clone', 3)
  await supervisor.setCount('clone', 2)
  await Promise.all([reads.stop(), writes.stop()])
  assert.deepEqual([...reads.counts.keys()], ['200'])
  assert.deepEqual([...writes.counts.keys()], ['200'])
  assert.deepEqual(
    supervisor.members('clone').map((member) => member.id),
    ['clone-1.2', 'clone-2.2'],
  )
})

test('a clone killed under load costs no read, and only writes that were already sent', async (t) => {
  const { supervisor, url } = await start(t, 2)
  const reads = load(t, url, 6, 'GET')
  const writes = load(t, url, 4, 'POST')
  let sentWrites = 0
  for (let round = 1; round <= 2; round += 1) {
    const before = total(reads.counts)
    await waitFor('load', () => total(reads.counts) > before + 50)
    const member = supervisor.members('clone').find(({ state }) => state === 'ready')
    process.kill(member?.process.pid ?? Number.NaN, 'SIGKILL')
    sentWrites += 4
    await waitFor('its replacement', async () => {
      const ready = supervisor.members('clone').filter(({ state, id }) => state === 'ready' && id !== member?.id)
      return ready.length === 2 && (await usable(url)) === 2
    })
  }
  await Promise.all([reads.stop(), writes.stop()])
  assert.deepEqual([...reads.counts.keys()], ['200'])
  assert.deepEqual(
    [...writes.counts.keys()].filter((status) => status !== '200' && status !== '502'),
    [],
  )
  assert.ok((writes.counts.get('502') ?? 0) <= sentWrites)
})

test('a clone that somebody else tells to end is replaced and drained first', async (t) => {
  const { supervisor, url } = await start(t, 1)
  const reads = load(t, url, 4, 'GET')
  const writes = load(t, url, 4, 'POST')
  for (let round = 1; round <= 2; round += 1) {
    const before = total(reads.counts)
    await waitFor('load', () => total(reads.counts) > before + 50)
    const member = supervisor.members('clone')[0]
    assert.ok(member !== undefined)
    process.kill(member.process.pid, 'SIGTERM')
    assert.deepEqual(await member.process.exited, { code: 0, signal: null })
  }
  await Promise.all([reads.stop(), writes.stop()])
  assert.deepEqual([...reads.counts.keys()], ['200'])
  assert.deepEqual([...writes.counts.keys()], ['200'])
  assert.deepEqual(
    supervisor.members('clone').map(({ id, state }) => ({ id, state })),
    [{ id: 'clone-1.3', state: 'ready' }],
  )
})

test('a clone that is stopped by a signal gets nothing new and is replaced; its reads are answered elsewhere', async (t) => {
  const { supervisor, url } = await start(t, 2)
  const reads = load(t, url, 4, 'GET')
  await waitFor('load', () => total(reads.counts) > 50)
  const member = supervisor.members('clone')[0]
  assert.ok(member !== undefined)
  process.kill(member.process.pid, 'SIGSTOP')
  await waitFor('its replacement', () =>
    supervisor.members('clone').some(({ id, state }) => id === 'clone-1.2' && state === 'ready'),
  )
  await reads.stop()
  assert.deepEqual([...reads.counts.keys()], ['200'])
})

test('a balancer that is killed comes back and knows its clones', async (t) => {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  const { supervisor, url } = await start(t, 2, port)
  process.kill(supervisor.members('balancer')[0]?.process.pid ?? Number.NaN, 'SIGKILL')
  await waitFor('the balancer to be back', async () => (await usable(url).catch(() => 0)) === 2)
  assert.equal((await fetch(`${url}/pid`)).status, 200)
})

test('a balancer whose port is taken says so, and nothing is left running', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const supervisor = createSupervisor({ log: silentLogger })
  t.after(() => supervisor.stop())
  const group = {
    kind: 'balancer',
    count: 1,
    spec: () => ({ entry: balancerEntry, settings: { port, logLevel: 'silent' } }),
  }
  await assert.rejects(supervisor.run(group), {
    code: 'FF_CLONES_START',
    fields: { name: 'balancer-1', code: 'FF_BALANCER_LISTEN' },
    message: new RegExp(`port ${port} is taken by another process`),
  })
  assert.deepEqual(supervisor.members(), [])
})

test('a refused write answers an error that names the file, and the clone goes on', async (t) => {
  const { url } = await start(t, 1)
  const response = await fetch(`${url}/write?file=/tmp/fourfold-refused.txt`)
  assert.equal(response.status, 500)
  assert.match(await response.text(), /may not write to \/tmp\/fourfold-refused\.txt/)
  assert.equal((await fetch(`${url}/pid`)).status, 200)
})
