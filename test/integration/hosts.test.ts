/** More than one host: namespaces as hosts, real processes on them, cut lines and processes that stand still. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { canMakeNetworks } from '../support/hosts/network.ts'
import { HostsSystem } from '../support/hosts/system.ts'
import { makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

test('an app on several hosts', { skip: !(await canMakeNetworks()) }, async (t) => {
  const system = new HostsSystem(await makeDirectory(t))
  t.after(() => system.close())
  await system.makeHosts(['a', 'b', 'c'])
  const app = await system.install(1)
  await Promise.all([
    system.start('a', 'balancer', app),
    system.start('b', 'clones', app, 2),
    system.start('c', 'clones', app, 1),
  ])
  const url = system.url('a')

  await t.test('serves from the clones of all hosts', async () => {
    const clones = new Set<string>()
    await waitFor('an answer of each clone', async () => {
      const { status, clone } = await system.ask(`${url}/`)
      if (status === 200) clones.add(clone ?? '')
      return clones.size === 3
    })
    const { body } = await system.ask(`${url}/`)
    assert.deepEqual((JSON.parse(body) as { seen: string[] }).seen, [])
  })
})
