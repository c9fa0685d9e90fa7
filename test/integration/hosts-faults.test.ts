/**
 * What happens between hosts when lines are cut, processes stand still and the store goes: namespaces as hosts, real
 * processes on them. A balancer on `a`, clones on `b` and `c`, a store and a client elsewhere.
 */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'

import { failures, late, miscounted, slowest, unexplained } from '../support/hosts/judge.ts'
import { canMakeNetworks } from '../support/hosts/network.ts'
import { HostsSystem } from '../support/hosts/system.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Asked } from '../support/hosts/client.ts'

/** How long a registration lives, and a moment. */
const expiredMs = 6500
/** A probe every half second that may take one and a half, and a loaded machine. */
const noticedWithinMs = 10_000

test('hosts that fail', { skip: !(await canMakeNetworks()) }, async (t) => {
  const system = new HostsSystem(await makeDirectory(t))
  endAfter(t, () => system.close())
  await system.makeHosts(['a', 'b', 'c'])
  const app = await system.install(1)
  await Promise.all([
    system.start('a', 'balancer', app),
    system.start('b', 'clones', app, 1),
    system.start('c', 'clones', app, 1),
  ])
  const url = system.url('a')
  const usable = async (): Promise<number> => {
    const { body } = await system.ask(`${url}/.fourfold/health`)
    return (JSON.parse(body) as { upstreams: { usable: number } }).upstreams.usable
  }
  const usableIs = (count: number): Promise<unknown> =>
    waitFor(`${count} usable clones`, async () => (await usable()) === count, 30_000)

  /** Asks again and again while something is done, and until a few more were answered afterwards. */
  const underLoad = async (prefix: string, act: () => Promise<void>): Promise<Asked[]> => {
    await system.beginLoad([url], prefix)
    await waitFor('load', async () => (await system.loadCount()) > 40)
    await act()
    const count = await system.loadCount()
    await waitFor('more load', async () => (await system.loadCount()) > count + 40)
    return await system.endLoad()
  }
  const judge = async (asked: readonly Asked[]): Promise<void> => {
    assert.deepEqual(unexplained(asked), {})
    assert.deepEqual(miscounted(asked, await system.carriedOut()), [])
  }
  const note = (st: TestContext, what: string): void => st.diagnostic(what)

  await t.test('clones of all hosts are used, and the app sees nothing of how they were reached', async () => {
    await usableIs(2)
    const clones = new Set<string>()
    await waitFor('an answer of each clone', async () => {
      const { status, clone } = await system.ask(`${url}/`)
      if (status === 200) clones.add(clone ?? '')
      return clones.size === 2
    })
    const { body } = await system.ask(`${url}/`)
    assert.deepEqual((JSON.parse(body) as { seen: string[] }).seen, [])
  })

  await t.test('a host whose line is cut is left in seconds, and used again when it is back', async (st) => {
    let droppedMs = 0
    const asked = await underLoad('cut', async () => {
      await system.network.cut('c')
      const begun = performance.now()
      await usableIs(1)
      droppedMs = performance.now() - begun
      // Its registration expires meanwhile, since it does not reach the store either.
      await delay(expiredMs - Math.min(expiredMs, droppedMs))
      await system.network.mend('c')
      await usableIs(2)
    })
    await judge(asked)
    note(st, `dropped after ${Math.round(droppedMs)} ms; slowest read ${Math.round(slowest(asked, 'GET'))} ms`)
    note(st, `${asked.length} requests, failed: ${JSON.stringify(failures(asked))}`)
    assert.ok(droppedMs < noticedWithinMs, `dropped after ${droppedMs} ms`)
    assert.ok(slowest(asked, 'GET') < noticedWithinMs, `a read took ${slowest(asked, 'GET')} ms`)
  })

  await t.test('a host that the store reaches and this balancer does not is left all the same', async (st) => {
    const asked = await underLoad('lose', async () => {
      await system.network.lose('a', 'c')
      const begun = performance.now()
      await usableIs(1)
      note(st, `dropped after ${Math.round(performance.now() - begun)} ms`)
      await system.network.deliver('a', 'c')
      await usableIs(2)
    })
    await judge(asked)
    note(st, `${asked.length} requests, failed: ${JSON.stringify(failures(asked))}`)
  })

  await t.test(
    'a clone that wakes long after it stood still is another one, and carries out nothing late',
    async (st) => {
      const pid = (await system.host('c')).clones[0]?.pid ?? Number.NaN
      const asked = await underLoad('pause', async () => {
        process.kill(pid, 'SIGSTOP')
        try {
          await delay(expiredMs)
        } finally {
          process.kill(pid, 'SIGCONT')
        }
        await waitFor('it to say so', () => system.said('c').includes('it goes on as another'))
        await usableIs(2)
      })
      await judge(asked)
      assert.deepEqual(late(await system.carriedOut(), pid), [])
      note(st, `${asked.length} requests, failed: ${JSON.stringify(failures(asked))}`)
      const after = await underLoad('awake', async () => undefined)
      assert.ok(after.some(({ body }) => body.includes(`"pid":${pid}`)))
    },
  )

  await t.test('a balancer that does not reach the store goes on with the clones that it knows', async () => {
    const asked = await underLoad('unheard', async () => {
      await system.network.lose('a', 'store')
      await delay(expiredMs)
      assert.equal(await usable(), 2)
      await system.network.deliver('a', 'store')
    })
    assert.deepEqual(failures(asked), {})
    assert.deepEqual(miscounted(asked, await system.carriedOut()), [])
  })

  await t.test('a store that comes back empty costs nothing', async () => {
    const asked = await underLoad('empty', async () => {
      await system.killStore()
      await delay(500)
      await system.startStore()
      // Whoever had not registered again by now would no longer count as well.
      await delay(expiredMs)
      assert.equal(await usable(), 2)
    })
    assert.deepEqual(failures(asked), {})
    assert.deepEqual(miscounted(asked, await system.carriedOut()), [])
  })
})
