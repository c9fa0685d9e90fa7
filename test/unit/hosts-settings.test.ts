import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { resolveConfig, type AppOptions } from '../../src/app/config.ts'
import { readHostName, requireHostSettings, storeOf, type HostRole } from '../../src/app/roles/host.ts'
import { startRole } from '../../src/cli/start-role.ts'
import { listenOn, listenOnFirst, portsToTry, readPorts } from '../../src/clones/hosts/listen.ts'
import type { ConfigProblem } from '../../src/core/config.ts'

const secrets = ['a secret of at least thirty-two characters']
const shared: AppOptions = {
  databases: { main: { url: 'postgres://app:secret@db.internal/app' } },
  store: { url: 'redis://store.internal:6379' },
  sessions: { secrets },
}

/** The settings that stand in the way of a role. */
function problemsOf(options: AppOptions, role: HostRole): string[] {
  try {
    requireHostSettings(resolveConfig(options, {}), role)
    return []
  } catch (error) {
    const { code, fields } = error as { code: string; fields: { problems: ConfigProblem[] } }
    assert.equal(code, 'FF_CONFIG_INVALID')
    return fields.problems.map(({ path }) => path)
  }
}

test('what only one host can reach is refused, all of it at once', () => {
  assert.deepEqual(problemsOf(shared, 'clones'), [])
  assert.deepEqual(problemsOf(shared, 'balancer'), [])
  const laptop: AppOptions = { databases: { main: {}, other: {} }, clones: { host: '0.0.0.0' } }
  assert.deepEqual(problemsOf(laptop, 'clones'), [
    'store.url',
    'sessions.secrets',
    'databases.main.url',
    'databases.other.url',
    'clones.advertise',
  ])
  // A balancer opens no database.
  assert.deepEqual(problemsOf(laptop, 'balancer'), ['store.url', 'sessions.secrets'])
  assert.deepEqual(problemsOf({ ...shared, store: { url: 'unix:/run/store.sock' } }, 'balancer'), ['store.url'])
  const everywhere = { host: '0.0.0.0', advertise: 'web-1.internal' }
  assert.deepEqual(problemsOf({ ...shared, clones: everywhere }, 'clones'), [])
})

test('a store in one of the databases needs that database to have an address', () => {
  const inDatabase = { ...shared, store: { database: 'main' } }
  assert.deepEqual(problemsOf(inDatabase, 'balancer'), [])
  assert.equal(storeOf(resolveConfig(inDatabase, {})).address?.host, 'db.internal')
  assert.deepEqual(problemsOf({ ...inDatabase, databases: { main: {} } }, 'balancer'), ['store.database'])
})

test('a role that there is not is a named error', async () => {
  const expected = { code: 'FF_APP_ROLE', message: /all, balancer, clones or workers/ }
  await assert.rejects(startRole('app.ts', 'wokers', {}), expected)
})

test('ports are a range, and clones.ports that is none is said', () => {
  assert.deepEqual(readPorts('20000-20099'), { first: 20_000, last: 20_099 })
  for (const text of ['20000', '200-100', '0-10', '1-65536', 'a-b', '']) assert.equal(readPorts(text), null)
  assert.throws(() => resolveConfig({ clones: { ports: '9-1' } }, {}), /clones\.ports: expected two ports/)
  assert.deepEqual(portsToTry({ first: 1, last: 4 }, 0.5), [3, 4, 1, 2])
  assert.deepEqual(portsToTry(null), [0])
})

test('a clone takes the first port that is free, and says so when none is', async (t) => {
  const [taken, server] = [createServer(), createServer()]
  t.after(() => Promise.all([taken, server].map((one) => new Promise((resolve) => one.close(resolve)))))
  const busy = await listenOn(taken, '127.0.0.1', 0)
  const listen = (port: number): Promise<number> => listenOn(server, '127.0.0.1', port)
  await assert.rejects(listenOnFirst({ host: '127.0.0.1', ports: [busy] }, listen), { code: 'FF_CLONES_LISTEN' })
  assert.notEqual(await listenOnFirst({ host: '127.0.0.1', ports: [busy, 0] }, listen), busy)
  const elsewhere = (port: number): Promise<number> => listenOn(createServer(), '203.0.113.1', port)
  await assert.rejects(listenOnFirst({ host: '203.0.113.1', ports: [0] }, elsewhere), /has no such address/)
})

test('a host keeps its name, and two that start at once agree on it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fourfold-host-'))
  t.after(() => rm(directory, { recursive: true }))
  const names = await Promise.all([readHostName(directory), readHostName(directory)])
  assert.equal(names[0], names[1])
  assert.equal(await readHostName(directory), names[0])
})
