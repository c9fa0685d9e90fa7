/** Workers as processes of a system: killed in the middle of a bake, and given orders by `fourfold bake`. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { suite, test, type TestContext } from 'node:test'

import { makeDirectory } from '../support/postgres.ts'
import { nothingLeft, startCommand } from '../support/start-command.ts'
import { waitFor } from '../support/wait-for.ts'

const root = join(import.meta.dirname, '../..')
const app = 'test/support/baked-app/app.ts'

interface Bake {
  readonly cake: string
  readonly pid: number
}

/** Hears of each bake, and holds those of one cake for as long as it is told to. */
async function openOven(t: TestContext) {
  const bakes: Bake[] = []
  const held: ServerResponse[] = []
  const oven = {
    bakes,
    hold: null as string | null,
    url: '',
    release: (): void => held.splice(0).forEach((response) => response.end()),
    /** Until nothing has been baked for a moment: what was baked before its table was watched is baked again. */
    quiet: async (): Promise<void> => {
      let [last, sinceMs] = [bakes.length, performance.now()]
      await waitFor('nothing is baked', () => {
        if (bakes.length !== last) [last, sinceMs] = [bakes.length, performance.now()]
        return performance.now() - sinceMs > 1_000
      })
    },
  }
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://oven')
    const cake = searchParams.get('cake')!
    bakes.push({ cake, pid: Number(searchParams.get('pid')) })
    if (cake === oven.hold) held.push(response)
    else response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  oven.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return oven
}

async function bakeCommand(
  t: TestContext,
  data: string,
  ...words: readonly string[]
): Promise<{ code: number | null; text: string }> {
  const command = ['-C', 'fourfold:source', 'src/cli/main.ts', 'bake', app, '--data', data, ...words]
  const child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode, text }
}

suite('workers of a system', () => {
  test('bake ahead, carry out orders, and take over what a killed one was baking', async (t) => {
    const data = await makeDirectory(t)
    const oven = await openOven(t)
    const { child, url } = await startCommand(t, { app, data, env: { OVEN: oven.url } })
    await waitFor('all are baked', () => new Set(oven.bakes.map(({ cake }) => cake)).size === 12, 30_000)
    await oven.quiet()

    oven.bakes.length = 0
    const one = await bakeCommand(t, data, '--path', '/cake/2')
    assert.equal(one.code, 0, one.text)
    assert.match(one.text, /100 %[\s\S]*baked 1 in/)
    assert.deepEqual(
      oven.bakes.map(({ cake }) => cake),
      ['2'],
    )
    oven.bakes.length = 0
    assert.match((await bakeCommand(t, data, '--all')).text, /baked 12 in/)
    assert.equal(oven.bakes.length, 12)

    oven.bakes.length = 0
    oven.hold = '3'
    assert.equal(await (await fetch(`${url}/name/3/icing`)).text(), 'saved')
    const { pid } = await waitFor('a worker bakes it', () => oven.bakes[0])
    process.kill(pid, 'SIGKILL')
    oven.hold = null
    await waitFor('another one does', () => oven.bakes.find((bake) => bake.cake === '3' && bake.pid !== pid), 30_000)
    const page = await fetch(`${url}/cake/3`)
    assert.match(await page.text(), /icing/)
    assert.deepEqual([...new Set(oven.bakes.map(({ cake }) => cake))], ['3'])
    oven.release()

    child.kill('SIGINT')
    await once(child, 'exit')
    await nothingLeft(data)
    const without = await bakeCommand(t, data)
    assert.equal(without.code, 1)
    assert.match(without.text, /FF_PAGE_WORKERS.*nothing runs/s)
  })
})
