/** Pages that the balancer answers in a system of processes, while these are killed or stand still. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { rm } from 'node:fs/promises'

import pg from 'pg'

import { resolveConfig } from '../../src/app/config.ts'
import { loadApp } from '../../src/app/load-app.ts'
import { startSystem, type RunningSystem } from '../../src/app/start.ts'
import { silentLogger } from '../../src/core/log.ts'
import { CookieJar } from '../support/http-app.ts'
import { newDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

const appFile = fileURLToPath(new URL('../support/pages-app.ts', import.meta.url))

suite('pages in the balancer of a system', () => {
  let dataDir = ''
  let system: RunningSystem
  let outside: pg.Client

  before(async () => {
    dataDir = await newDirectory('ff-pages-')
    const app = await loadApp(appFile)
    const overrides = { clones: 2, balancer: { port: 0 }, dataDir, logLevel: 'silent' as const }
    const config = resolveConfig(app.definition, {}, overrides)
    system = await startSystem({ app, appFile, config, overrides, env: {}, log: silentLogger, inPlace: true })
    outside = new pg.Client(system.connections.databases['main']!.primary as pg.ClientConfig)
    outside.on('error', () => undefined)
    await outside.connect()
    await outside.query(`create table notes (id int primary key, text text not null)`)
    await outside.query(`insert into notes select n, 'note ' || n from generate_series(1, 9) n`)
  })
  after(async () => {
    await outside?.end()
    await system?.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  const read = async (jar: CookieJar, id: number): Promise<{ text: string; by: string; clone: string | null }> => {
    const text = (await jar.get(`${system.url}/note/${id}`)) as string
    const { headers } = jar.last!
    const by = headers.get('cache-status')?.startsWith('fourfold-balancer;') === true ? 'balancer' : 'clone'
    return { text: /<h1>(.*?)<\/h1>/.exec(text)?.[1] ?? text, by, clone: headers.get('x-fourfold-clone') }
  }
  const write = async (jar: CookieJar, id: number, text: string): Promise<void> => {
    assert.equal(await jar.send('POST', `${system.url}/write?id=${id}&text=${text}`), 'done')
  }
  const held = (jar: CookieJar, id: number): Promise<unknown> =>
    waitFor(`the balancer answers note ${id}`, async () => {
      const { by, clone } = await read(jar, id).catch(() => ({ by: '', clone: '' }))
      return by === 'balancer' && clone === null
    })
  const pidOf = (kind: string): number => system.supervisor.members(kind)[0]?.process.pid ?? 0
  const replaced = (kind: string, pid: number): Promise<unknown> =>
    waitFor(`another ${kind}`, () => ![0, pid].includes(pidOf(kind)))

  test('writers see their writes at once, others soon, and none of them an older page again', async () => {
    const [writer, other] = [new CookieJar(), new CookieJar()]
    await held(other, 1)
    let seen = 0
    for (let round = 1; round <= 20; round += 1) {
      await write(writer, 1, `round-${round}`)
      assert.equal((await read(writer, 1)).text, `round-${round}`)
      const now = Number((await read(other, 1)).text.replace(/\D/g, ''))
      assert.ok(now >= seen && now <= round, `${now} after ${seen} in round ${round}`)
      seen = now
    }
    await waitFor('the last one', async () => (await read(other, 1)).text === 'round-20')
    await held(writer, 1)
  })

  test('a tracker that stands still keeps nobody from their own writes', async (t) => {
    const [writer, other] = [new CookieJar(), new CookieJar()]
    await write(writer, 2, 'first')
    await held(writer, 2)
    const tracker = pidOf('tracker')
    process.kill(tracker, 'SIGSTOP')
    t.after(() => process.kill(tracker, 'SIGCONT'))
    for (let round = 1; round <= 5; round += 1) {
      await write(writer, 2, `second-${round}`)
      const { text, by } = await read(writer, 2)
      assert.deepEqual([text, by], [`second-${round}`, 'clone'])
    }
    assert.equal((await read(other, 2)).by, 'balancer')
    process.kill(tracker, 'SIGCONT')
    await held(writer, 2)
    assert.equal((await read(other, 2)).text, 'second-5')
  })

  test('without a store clones answer, within its deadline', async () => {
    const jar = new CookieJar()
    await write(jar, 3, 'before')
    await held(jar, 3)
    const store = pidOf('store')
    process.kill(store, 'SIGSTOP')
    const beganMs = performance.now()
    const { text, by } = await read(jar, 3)
    assert.deepEqual([text, by], ['before', 'clone'])
    assert.ok(performance.now() - beganMs < 5_000)
    process.kill(store, 'SIGKILL')
    await replaced('store', store)
    await held(jar, 3)
    await write(jar, 3, 'after')
    assert.equal((await read(jar, 3)).text, 'after')
    // Whoever writes at a clone that has not found it again yet is sent to clones for a while.
    await waitFor('every clone to have it back', async () => {
      const writers = Array.from({ length: 6 }, () => new CookieJar())
      await Promise.all(writers.map((one) => write(one, 9, 'settled')))
      return writers.every(({ cookies }) => !cookies.has('ff_pin'))
    })
  })

  test('a balancer that was killed answers pages again when it is back', async () => {
    const jar = new CookieJar()
    await write(jar, 4, 'before')
    await held(jar, 4)
    const balancer = pidOf('balancer')
    process.kill(balancer, 'SIGKILL')
    await replaced('balancer', balancer)
    await outside.query(`update notes set text = 'meanwhile' where id = 4`)
    await held(jar, 4)
    assert.equal((await read(jar, 4)).text, 'meanwhile')
  })

  test('pages are answered while no clone is there', async () => {
    const jar = new CookieJar()
    await held(jar, 5)
    for (const { process: clone } of system.supervisor.members('clone')) process.kill(clone.pid, 'SIGKILL')
    assert.equal((await read(jar, 5)).by, 'balancer')
    await held(jar, 5)
  })
})
