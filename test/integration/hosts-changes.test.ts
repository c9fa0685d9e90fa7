/**
 * What an operator does with several hosts, under load: restarts, a balancer that is killed, a new build. Namespaces as
 * hosts: balancers on `a` and `e`, clones on `b` and `c`, those of the next build on `d`.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { backward, failures, miscounted, slowest } from '../support/hosts/judge.ts'
import { canMakeNetworks } from '../support/hosts/network.ts'
import { HostsSystem } from '../support/hosts/system.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Asked } from '../support/hosts/client.ts'

/** A registration lives for 5 s; what else a drain needs is short beside it. */
const drainBesideADeadBalancerMs = 12_000

test('hosts that change', { skip: !(await canMakeNetworks()) }, async (t) => {
  const system = new HostsSystem(await makeDirectory(t))
  endAfter(t, () => system.close())
  await system.makeHosts(['a', 'b', 'c', 'd', 'e'])
  const app = await system.install(1)
  await Promise.all([
    system.start('a', 'balancer', app),
    system.start('e', 'balancer', app),
    system.start('b', 'clones', app, 2),
    system.start('c', 'clones', app, 1),
  ])
  const urls = [system.url('a'), system.url('e')]
  const usableAt = async (url: string): Promise<number> => {
    const { body } = await system.ask(`${url}/.fourfold/health`)
    return (JSON.parse(body) as { upstreams: { usable: number } }).upstreams.usable
  }
  const known = (count: number, balancers = urls): Promise<unknown> =>
    waitFor(`${count} clones at each balancer`, async () => {
      const counts = await Promise.all(balancers.map(usableAt))
      return counts.every((usable) => usable === count)
    })
  const underLoad = async (prefix: string, act: () => Promise<void>, balancers = urls): Promise<Asked[]> => {
    await system.beginLoad(balancers, prefix)
    await waitFor('load', async () => (await system.loadCount()) > 40)
    await act()
    const count = await system.loadCount()
    await waitFor('more load', async () => (await system.loadCount()) > count + 60)
    return await system.endLoad()
  }
  const loseNothing = async (asked: readonly Asked[]): Promise<void> => {
    assert.deepEqual(failures(asked), {})
    assert.deepEqual(miscounted(asked, await system.carriedOut()), [])
  }
  /** Tells a clone to end as a host's own init would: it is replaced, drained at all balancers, and ends. */
  const replace = async (host: string, pid: number): Promise<void> => {
    process.kill(pid, 'SIGTERM')
    await waitFor(
      `${pid} to be replaced`,
      async () => (await system.pids(host)).every((other) => other !== pid),
      30_000,
    )
  }

  await known(3)

  await t.test('a clone answers nobody but a balancer of the same secrets', async () => {
    const clone = (await system.run('a', ['hosts', app])).match(/10\.86\.7\.\d+:\d+/)?.[0] ?? ''
    const before = (await system.carriedOut()).length
    for (const headers of [{}, { 'x-fourfold-to': 'a guess' }]) {
      const { status } = await system.ask(`http://${clone}/forged`, 'POST', headers)
      assert.equal(status, 421)
    }
    assert.equal((await system.carriedOut()).length, before)
  })

  await t.test('restarting every clone, one by one, loses nothing', async (st) => {
    const asked = await underLoad('restart', async () => {
      for (const host of ['b', 'c']) {
        for (const { pid } of (await system.host(host)).clones) await replace(host, pid)
      }
    })
    await loseNothing(asked)
    st.diagnostic(`${asked.length} requests, slowest ${Math.round(slowest(asked, 'GET'))} ms`)
  })

  await t.test('fewer clones and more again lose nothing', async () => {
    const asked = await underLoad('scale', async () => {
      await system.scale('b', 1)
      await system.scale('b', 2)
      await known(3)
    })
    await loseNothing(asked)
  })

  await t.test('clones of a build that is not admitted get nothing, and take over when it is', async (st) => {
    const next = await system.install(2)
    await system.start('d', 'clones', next, 2)
    const { build } = await system.host('d')
    const before = await underLoad('beside', async () => undefined)
    assert.deepEqual([...new Set(before.map((one) => one.build))], [1])
    const asked = await underLoad('rollout', async () => {
      st.diagnostic((await system.run('a', ['rollout', app, '--admit', build.slice(0, 12)])).trim())
      await system.stop('c')
    })
    await loseNothing([...before, ...asked])
    assert.deepEqual(backward(asked), [])
    assert.deepEqual([...new Set(asked.slice(-20).map((one) => one.build))], [2])
    st.diagnostic(`${asked.length} requests, slowest ${Math.round(slowest(asked, 'GET'))} ms`)
  })

  await t.test('a share of the readers is moved, and taken back with everybody', async () => {
    const { build } = await system.host('b')
    const asked = await underLoad('share', async () => {
      const { build: fresh } = await system.host('d')
      let said = ''
      const words = ['rollout', app, '--admit', build, '--percent', '40,100', '--hold', '60s']
      const failed = assert.rejects(system.run('a', words, (text) => void (said = text)))
      await waitFor('a share to be moved', () => said.includes('40 % of the readers'), 30_000)
      await system.run('a', ['rollout', app, '--admit', fresh])
      system.killCommands()
      await failed
    })
    await loseNothing(asked)
    assert.deepEqual([...new Set(asked.slice(-20).map((one) => one.build))], [2])
  })

  await t.test('a balancer that was killed holds up no drain for longer than its registration lives', async (st) => {
    for (const pid of await system.pids('e')) process.kill(pid, 'SIGSTOP')
    system.supervisor('e').kill('SIGKILL')
    const pid = (await system.host('d')).clones[0]?.pid ?? Number.NaN
    const begun = performance.now()
    const asked = await underLoad('killed', () => replace('d', pid), [system.url('a')])
    const tookMs = performance.now() - begun
    await loseNothing(asked)
    st.diagnostic(`replaced in ${Math.round(tookMs)} ms`)
    assert.ok(tookMs < drainBesideADeadBalancerMs, `it took ${tookMs} ms`)
  })

  await t.test('a build is not changed while a balancer may still serve another', async () => {
    const { build } = await system.host('b')
    await assert.rejects(
      system.run('a', ['rollout', app, '--admit', build]),
      /did not answer, and may still be serving/,
    )
    const overview = await system.run('a', ['hosts', app])
    const silent = /(\S+)\s+not heard of/.exec(overview)?.[1] ?? ''
    const asked = await underLoad(
      'without',
      async () => void (await system.run('a', ['rollout', app, '--admit', build, '--without', silent])),
      [system.url('a')],
    )
    await loseNothing(asked)
    assert.deepEqual([...new Set(asked.slice(-20).map((one) => one.build))], [1])
  })
})
