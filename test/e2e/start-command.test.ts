/** `fourfold start` as a user meets it: one command, one Ctrl-C, and the morning after a SIGKILL. */

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'

import { makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

const root = join(import.meta.dirname, '../..')
const startsWithinMs = 60_000

interface Started {
  readonly child: ChildProcess
  readonly url: string
  readonly output: () => string
}

/** Runs the command on a data directory until it prints its address. */
async function start(t: TestContext, data: string, ...more: readonly string[]): Promise<Started> {
  const words = ['src/cli/main.ts', 'start', 'examples/conduit/src/app.ts', '--data', data, '--port', '0', ...more]
  const child = spawn(process.execPath, ['-C', 'fourfold:source', ...words], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  t.after(() => child.kill('SIGKILL'))
  const ready = await waitFor(
    'the address',
    () => {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}:\n${text}`)
      return /(http:\/\/\S+)\s+ready/.exec(text)
    },
    startsWithinMs,
  )
  return { child, url: ready[1] ?? '', output: () => text }
}

/** The living processes that name this directory on their command line, in their environment or as their place. */
async function processesOf(data: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    const [command, place, environment] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => ''),
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    ])
    if (`${command}${place}${environment}`.includes(data)) found.push(`${pid} ${command.replaceAll('\0', ' ')}`)
  }
  return found
}

async function nothingLeft(data: string): Promise<void> {
  await waitFor('every process to end', async () => (await processesOf(data)).length === 0, 15_000)
  const sockets = (await readdir(data, { recursive: true })).filter((name) =>
    /\.sock$|\.s\.PGSQL|postmaster\.pid$/.test(name),
  )
  assert.deepEqual(sockets, [])
}

suite('fourfold start', () => {
  test('serves a seeded home page, and Ctrl-C leaves no process, socket or lock', async (t) => {
    const data = await makeDirectory(t)
    const { child, url } = await start(t, data)
    const home = await fetch(url)
    assert.equal(home.status, 200)
    assert.match(await home.text(), /article-preview/)
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
    await nothingLeft(data)
  })

  test('a supervisor that gets SIGKILL takes its processes along, and the next start finds the data', async (t) => {
    const data = await makeDirectory(t)
    const first = await start(t, data, '--no-seed')
    const user = { username: 'Ada', email: 'ada@example.com', password: 'correct horse' }
    const made = await fetch(`${first.url}/api/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user }),
    })
    assert.equal(made.status, 201)
    first.child.kill('SIGKILL')
    const second = await start(t, data, '--no-seed')
    const found = await fetch(`${second.url}/api/profiles/Ada`)
    assert.equal(found.status, 200)
    second.child.kill('SIGINT')
    await once(second.child, 'exit')
    await nothingLeft(data)
  })

  test('a second start on the same data says who holds it', async (t) => {
    const data = await makeDirectory(t)
    const { child } = await start(t, data, '--no-seed')
    await assert.rejects(start(t, data, '--no-seed'), (error: Error) => {
      assert.match(error.message, /FF_ENGINE_OWNED/)
      assert.match(error.message, new RegExp(String(child.pid)))
      return true
    })
    child.kill('SIGINT')
    await once(child, 'exit')
  })

  test('mistakes in the configuration come in one list, with their paths', async (t) => {
    const words = ['src/cli/main.ts', 'start', 'examples/conduit/src/app.ts', '--data', await makeDirectory(t)]
    const child = spawn(process.execPath, ['-C', 'fourfold:source', ...words], {
      cwd: root,
      env: { ...process.env, FOURFOLD_CLONES_MIN: 'many', FOURFOLD_STORE_DEADLINE: 'soon' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const [code] = await once(child, 'exit')
    assert.equal(code, 1)
    assert.match(text, /FF_CONFIG_INVALID/)
    assert.match(text, /clones\.min/)
    assert.match(text, /store\.deadline/)
  })
})
