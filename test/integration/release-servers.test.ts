/**
 * The servers of `deploy/`, started for real by the scripts and settings that stand there: PostgreSQL's primary and its
 * replica, and the central store. Only addresses, ports and sizes of memory are those of a test.
 */

import assert from 'node:assert/strict'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { createClient } from 'redis'

import { database, defineApp, open } from 'fourfold'

import { findRedis, freePort } from '../../scripts/services.ts'
import { silentLogger } from '../../src/core/log.ts'
import { endAfter, makeDirectory, until } from '../support/postgres.ts'
import { accountOf, findPostgres } from '../support/installed-postgres.ts'
import { root } from '../support/release-project.ts'

const run = promisify(execFile)
const deploy = join(root, 'deploy')
const redis = await findRedis()
const binaries = findPostgres()
const account = binaries === null ? null : accountOf('postgres')
const noPostgres =
  account === null && "needs root, and PostgreSQL's server with its user (Debian: apt-get install postgresql)"
if (noPostgres !== false) console.error(`\n!!! SKIPPING the scripts of deploy/postgres: ${noPostgres}\n`)

const app = { password: 'planted-password-of-the-app', replication: 'planted-password-of-the-replica' }

async function makeSecrets(t: TestContext, secrets: Readonly<Record<string, string>>): Promise<string> {
  const directory = await makeDirectory(t)
  for (const [name, secret] of Object.entries(secrets)) await writeFile(join(directory, name), secret)
  return directory
}

async function allBelow(folder: string): Promise<Buffer> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  return Buffer.concat(await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name)))))
}

const commandOf = (child: ChildProcess): Promise<string> => readFile(`/proc/${child.pid}/cmdline`, 'utf8')

interface RunningServer {
  readonly child: ChildProcess
  /** What it has written to its standard error. */
  said(): string
  stop(): Promise<void>
}

interface Postgres extends RunningServer {
  readonly port: number
  readonly data: string
}

const small = ['-c', 'listen_addresses=127.0.0.1', '-c', 'shared_buffers=16MB', '-c', 'fsync=off']

/** Runs what a container would run, as PostgreSQL's user, with the image's variables. */
function runAs(words: readonly string[], env: Readonly<Record<string, string>>): RunningServer {
  const { uid, gid } = account!
  const PATH = `${binaries}:${process.env['PATH']}`
  const options = { uid, gid, cwd: '/', env: { PATH, ...mark, ...env } }
  const child = spawn(words[0]!, words.slice(1), { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.on('error', () => undefined)
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGINT')
    await ended
  }
  return { child, said: () => text, stop }
}

const mark = process.env['FF_TEST_RUN'] === undefined ? {} : { FF_TEST_RUN: process.env['FF_TEST_RUN'] }

async function place(t: TestContext): Promise<{ data: string; sockets: string; tmp: string }> {
  const directory = await makeDirectory(t)
  const volume = join(directory, 'volume')
  const folders = { data: join(volume, 'data'), sockets: join(directory, 'sockets'), tmp: join(directory, 'tmp') }
  for (const path of [volume, ...Object.values(folders)]) {
    await mkdir(path, { mode: 0o700 })
    await chown(path, account!.uid, account!.gid)
  }
  await chmod(folders.sockets, 0o755)
  return folders
}

/** As the entry point of PostgreSQL's image does: initdb, a server of its own for the scripts, then the server. */
async function startPrimary(t: TestContext, secrets: string): Promise<Postgres> {
  const { data, sockets } = await place(t)
  const { uid, gid } = account!
  const env = { PATH: `${binaries}:${process.env['PATH']}`, PGDATA: data, PGHOST: sockets, SECRETS_DIR: secrets }
  const asUser = { uid, gid, cwd: '/', env }
  const password = join(secrets, 'postgres_password')
  const auth = ['--auth-host=scram-sha-256', '--auth-local=peer', `--pwfile=${password}`]
  await run('initdb', ['--username=postgres', '--no-sync', ...auth], asUser)
  await writeFile(join(data, 'pg_hba.conf'), '\nhost all all all scram-sha-256\n', { flag: 'a' })
  const port = await freePort()
  const settings = ['-c', `config_file=${join(deploy, 'postgres/primary.conf')}`, ...small, '-p', String(port)]
  const words = ['postgres', ...settings, '-c', `unix_socket_directories=${sockets}`]
  const first = runAs(words, { PGDATA: data })
  endAfter(t, () => first.stop())
  const ready = (): Promise<unknown> => run('pg_isready', ['-q', '-h', sockets, '-p', String(port)], asUser)
  await until('the primary to be made', async () => (await ready(), true))
  await run('sh', [join(deploy, 'postgres/primary-init.sh')], { ...asUser, env: { ...env, PGPORT: String(port) } })
  await first.stop()
  const server = runAs(words, { PGDATA: data })
  endAfter(t, () => server.stop())
  await until('the primary', async () => (await ready(), true))
  return { ...server, port, data }
}

interface ReplicaOptions {
  readonly secrets: string
  readonly primary: number
  readonly folders: { readonly data: string; readonly sockets: string; readonly tmp: string }
}

async function startReplica(t: TestContext, { secrets, primary, folders }: ReplicaOptions): Promise<Postgres> {
  const { data, sockets, tmp } = folders
  const port = await freePort()
  const settings = ['-c', `config_file=${join(deploy, 'postgres/replica.conf')}`, ...small, '-p', String(port)]
  const postgres = ['postgres', ...settings, '-c', `unix_socket_directories=${sockets}`]
  const server = runAs(['sh', join(deploy, 'postgres/replica-start.sh'), ...postgres], {
    ...{ PGDATA: data, SECRETS_DIR: secrets, PASSFILE: join(tmp, 'replication.pgpass') },
    ...{ PRIMARY_HOST: '127.0.0.1', PRIMARY_PORT: String(primary) },
  })
  endAfter(t, () => server.stop())
  return { ...server, port, data }
}

const appUrl = (port: number, password = app.password): string => `postgres://app:${password}@127.0.0.1:${port}/app`

async function ask(t: TestContext, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, query_timeout: 10_000 })
  client.on('error', () => undefined)
  await client.connect()
  endAfter(t, () => client.end().catch(() => undefined))
  return client
}

suite('PostgreSQL as deploy/ starts it', { skip: noPostgres, timeout: 200_000 }, () => {
  test('serves an app as primary and replica, keeps no password, and the replica comes back without a new copy', async (t) => {
    const secrets = await makeSecrets(t, {
      ...{ postgres_password: 'planted-password-of-the-administrator', app_password: app.password },
      replication_password: app.replication,
    })
    const primary = await startPrimary(t, secrets)
    const options = { secrets, primary: primary.port, folders: await place(t) }
    const replica = await startReplica(t, options)
    await until('the replica', async () => ask(t, appUrl(replica.port)), 60_000)

    const definition = defineApp({ databases: { main: database<{ words: { word: string } }>({ replicaWait: '5s' }) } })
    const env = {
      ...{ DATABASE_URL: appUrl(primary.port), FOURFOLD_DATABASES_MAIN_REPLICAS: appUrl(replica.port) },
      FOURFOLD_SECRETS: 'a secret of at least thirty-two characters',
    }
    const ff = await open(definition, { env, log: silentLogger, config: { dataDir: await makeDirectory(t) } })
    endAfter(t, () => ff.close())
    await ff.databases.main.pool.query('create table words (word text)')
    await ff.as({ reader: 'ada', level: 'session' }, async (asAda) => {
      await asAda.databases.main.insertInto('words').values({ word: 'first' }).execute()
      assert.deepEqual(await asAda.databases.main.selectFrom('words').selectAll().execute(), [{ word: 'first' }])
    })

    const admin = new pg.Client({ host: '127.0.0.1', port: primary.port, user: 'postgres', database: 'app' })
    Object.assign(admin, { password: 'planted-password-of-the-administrator' })
    await admin.connect()
    endAfter(t, () => admin.end().catch(() => undefined))
    const { rows } = await admin.query(
      'select slot_name, active, current_setting($1) as level from pg_replication_slots',
      ['wal_level'],
    )
    assert.deepEqual(rows, [{ slot_name: 'replica_1', active: true, level: 'logical' }])

    await assert.rejects(ask(t, appUrl(primary.port, 'wrong')), /password authentication failed/)
    await assert.rejects(
      ask(t, `postgres://replicator:${app.replication}@127.0.0.1:${primary.port}/app`),
      /permission denied/,
    )
    for (const server of [primary, replica]) {
      const kept = Buffer.concat([await allBelow(server.data), Buffer.from(await commandOf(server.child))])
      for (const secret of [...Object.values(app), 'planted-password-of-the-administrator'])
        assert.equal(kept.includes(secret), false, `${secret} is kept`)
    }

    const { ino } = await stat(join(replica.data, 'PG_VERSION'))
    await replica.stop()
    await admin.query(`insert into words values ('second')`)
    const again = await startReplica(t, options)
    const reader = await until('the replica again', async () => ask(t, appUrl(again.port)), 60_000)
    await until('what came meanwhile', async () => (await reader.query('select from words')).rowCount === 2)
    assert.equal((await stat(join(again.data, 'PG_VERSION'))).ino, ino)
  })

  test('a replica that starts before its primary waits for it, and ends when it is told to', async (t) => {
    const secrets = await makeSecrets(t, { replication_password: app.replication })
    const replica = await startReplica(t, { secrets, primary: await freePort(), folders: await place(t) })
    await until('a first try', async () => replica.said().includes('cannot be copied yet'))
    const ended = once(replica.child, 'exit')
    replica.child.kill('SIGTERM')
    const [code] = await ended
    assert.equal(code, 143)
  })

  test('without its secrets the primary is not made', async (t) => {
    const SECRETS_DIR = await makeSecrets(t, { app_password: '' })
    const script = run('sh', [join(deploy, 'postgres/primary-init.sh')], {
      env: { PATH: process.env['PATH'], SECRETS_DIR },
    })
    await assert.rejects(script, /give app_password as a file, or APP_PASSWORD/)
  })
})

suite('the store as deploy/ starts it', { skip: redis === null }, () => {
  async function startStore(t: TestContext, directory: string): Promise<{ child: ChildProcess; port: number }> {
    const port = await freePort()
    const child = spawn('sh', [join(deploy, 'valkey/valkey-start.sh')], {
      env: {
        ...{
          PATH: process.env['PATH'],
          ...mark,
          VALKEY_SERVER: redis!,
          VALKEY_DIR: directory,
          STORE_PASSWORD: app.password,
        },
        ...{
          VALKEY_CONF: join(deploy, 'valkey/valkey.conf'),
          VALKEY_MORE: `port ${port}\nbind 127.0.0.1`,
        },
      },
      stdio: 'ignore',
    })
    t.after(() => child.kill('SIGKILL'))
    return { child, port }
  }

  const connectStore = async (t: TestContext, port: number): Promise<ReturnType<typeof createClient>> => {
    const client = createClient({
      url: `redis://:${app.password}@127.0.0.1:${port}`,
      socket: { reconnectStrategy: false },
    })
    client.on('error', () => undefined)
    await client.connect()
    t.after(() => client.destroy())
    return client as ReturnType<typeof createClient>
  }

  test('asks for its password, keeps what it was told, and refuses rather than forget', async (t) => {
    const directory = await makeDirectory(t)
    const { child, port } = await startStore(t, directory)
    const client = await until('the store', () => connectStore(t, port))
    const wanted = { 'maxmemory-policy': 'noeviction', appendonly: 'yes', appendfsync: 'everysec', save: '' }
    assert.deepEqual({ ...(await client.configGet(Object.keys(wanted))) }, wanted)
    const stranger = createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: false } })
    stranger.on('error', () => undefined)
    await assert.rejects(stranger.connect(), /NOAUTH/)
    assert.equal((await commandOf(child)).includes(app.password), false)
    await client.set('kept', 'yes')
    await client.configSet('maxmemory', '1')
    await assert.rejects(client.set('more', 'x'.repeat(100)), /OOM/)
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
    const again = await startStore(t, directory)
    const later = await until('the store again', () => connectStore(t, again.port))
    assert.equal(await later.get('kept'), 'yes')
  })
})
