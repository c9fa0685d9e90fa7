/** Roles with a real database, which is the store as well: what a team without Redis starts on two hosts. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { makeDirectory, startTestCluster } from '../support/postgres.ts'
import { beginStart, nothingRuns, type Starting } from '../support/start-command.ts'
import { waitFor } from '../support/wait-for.ts'

const app = 'examples/notes/app.ts'
const startsWithinMs = 60_000

async function begin(t: TestContext, role: string, data: string, env: Record<string, string>): Promise<Starting> {
  const starting = beginStart(t, { app, data, role, env })
  await waitFor(
    `the ${role} to start`,
    () => {
      if (starting.child.exitCode !== null) throw new Error(starting.output())
      return starting.output().includes('Ctrl-C stops this host')
    },
    startsWithinMs,
  )
  return starting
}

test('an app whose database is its store runs on hosts of two roles, and ends with nothing left', async (t) => {
  const directory = await makeDirectory(t)
  const { primary } = await startTestCluster(t, { replicas: 0, settings: { max_connections: '120' } })
  const user = `${encodeURIComponent(primary.user)}:${encodeURIComponent(primary.password ?? '')}`
  const env = {
    DATABASE_URL: `postgres://${user}@localhost:${primary.port}/${primary.database}?host=${encodeURIComponent(primary.host)}`,
    FOURFOLD_STORE_DATABASE: 'main',
    FOURFOLD_SECRETS: 'a secret of these hosts with at least thirty-two characters',
    FOURFOLD_CLONES_MIN: '2',
    FOURFOLD_CLONES_MAX: '2',
    FOURFOLD_LOG_LEVEL: 'warn',
  }
  const [clones, balancer] = await Promise.all([
    begin(t, 'clones', join(directory, 'clones'), env),
    begin(t, 'balancer', join(directory, 'balancer'), env),
  ])
  const url = /(http:\/\/\S+)/.exec(balancer.output())?.[1] ?? ''
  const saved = await waitFor('a clone to be admitted', async () => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ id: 'one', text: 'of two hosts' })
    const answer = await fetch(`${url}/notes`, { method: 'POST', headers, body })
    return answer.status === 200 ? answer : null
  })
  assert.deepEqual(await saved.json(), { saved: true })
  assert.deepEqual(await (await fetch(`${url}/notes`)).json(), [{ id: 'one', text: 'of two hosts' }])
  for (const { child } of [clones, balancer]) child.kill('SIGTERM')
  await waitFor('both to end', () => clones.child.exitCode === 0 && balancer.child.exitCode === 0, startsWithinMs)
  await nothingRuns(directory)
})
