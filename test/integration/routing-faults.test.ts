/** Routing when things go wrong: connections that die, replicas that hang, clients nobody gives back. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import pg from 'pg'

import { database, defineApp, open, type Connections, type Fourfold } from 'fourfold'

import { prepareDatabases, type PreparedDatabases } from '../../src/app/connections.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { seedOnce } from '../../src/app/seeding.ts'
import { silentLogger } from '../../src/core/log.ts'
import { startStoreServer, type StoreServer } from '../../src/store/memory/server.ts'
import { freeze } from '../support/freeze.ts'
import { newDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Cluster } from '../../src/database/cluster.ts'

interface Schema {
  notes: { id: number; author: string; text: string }
}

const app = defineApp({
  databases: { main: database<Schema>({ replicas: 1, connectTimeout: '1s', maxStaleness: '1500ms' }) },
})

type Instance = Fourfold<{ main: Schema }>

suite('routing under faults', () => {
  let directory: string
  let prepared: PreparedDatabases
  let storeServer: StoreServer
  let connections: Connections
  let ff: Instance
  let admin: pg.Client

  const openClone = async (poolSize = 4): Promise<Instance> => {
    const databases = Object.fromEntries(
      Object.entries(connections.databases).map(([name, found]) => [name, { ...found, poolSize }]),
    )
    return await open(app, {
      connections: { ...connections, databases },
      config: { dataDir: directory },
      log: silentLogger,
    })
  }
  const clusterOf = (instance: Instance): Cluster =>
    instance.clusters['main'] ?? assert.fail('expected the cluster main')
  const tokenOf = async (reader: string): Promise<Record<string, number>> => ({
    ...(await ff.store.readToken(`token:main:${reader}`))?.parts,
  })
  const insert = (author: string): string => `insert into notes (author, text) values ('${author}', 'x')`
  /** Reads as a reader until a replica answers, so that replicas are known to be in use. */
  const readFromReplica = async (instance: Instance, reader: string): Promise<void> => {
    const { counts } = clusterOf(instance)
    const before = counts.replicaReads
    await waitFor('a replica read', async () => {
      await instance.as({ reader, level: 'session' }).databases.main.pool.query('select count(*) from notes')
      return counts.replicaReads > before
    })
  }

  before(async () => {
    directory = await newDirectory('ff-faults-')
    const config = resolveConfig(app.definition, {}, { dataDir: directory })
    prepared = await prepareDatabases({ config, directory, processes: 6, log: silentLogger })
    const socketPath = join(directory, 'store.sock')
    storeServer = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
    connections = { databases: prepared.databases, storeUrl: `unix:${socketPath}` }
    ff = await openClone()
    await ff.databases.main.pool.query('create table notes (id serial primary key, author text, text text)')
    admin = new pg.Client(connections.databases['main']?.primary)
    admin.on('error', () => undefined)
    await admin.connect()
  })

  after(async () => {
    await admin?.end()
    await ff?.close()
    await storeServer?.stop()
    await prepared?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const commits: Record<string, readonly string[]> = {
    'a plain commit': ['begin', '$insert', 'commit'],
    'a commit with a comment before it': ['begin', '$insert', '/* done */ commit'],
    'a commit behind a line comment': ['begin', '$insert', '-- done\nend'],
    'a commit behind a read in one text': ['begin', '$insert', 'select 1; commit'],
    'a commit with a read behind it': ['begin', '$insert', 'commit; select 1'],
    'a commit with a write behind it': ['begin', 'commit; $insert'],
    'a whole transaction in one text': ['begin; $insert; commit'],
    'commit and chain': ['begin', '$insert', 'commit and chain', 'rollback'],
    'a commit with the next transaction behind it': ['begin', '$insert', 'commit; begin', 'rollback'],
    'a commented commit and chain': ['begin', '$insert', '/* done */ commit and chain', 'rollback'],
    'a write before a savepoint whose text fails': [
      'begin',
      '! $insert; savepoint a; select 1/0',
      'rollback to a',
      'commit',
    ],
    'a savepoint rolled back': ['begin', '$insert', 'savepoint a', '! select 1/0', 'rollback to a', 'commit'],
  }
  for (const [name, texts] of Object.entries(commits)) {
    test(`the token moves with ${name}`, async () => {
      const reader = `reader:${name}`
      const client = await ff.as({ reader }).databases.main.pool.connect()
      for (const text of texts) {
        const sql = text.replace('! ', '').replace('$insert', insert(name))
        if (text.startsWith('! ')) await assert.rejects(client.query(sql))
        else await client.query(sql)
      }
      client.release()
      const { rows } = await ff.databases.main.pool.query('select 1 from notes where author = $1', [name])
      assert.equal(rows.length, 1, 'the row was committed')
      assert.equal(Object.keys(await tokenOf(reader)).length, 1, 'the token moved')
    })
  }

  test('the token moves with statements that were queued without waiting', async () => {
    const client = await ff.as({ reader: 'reader:queued' }).databases.main.pool.connect()
    await Promise.all([client.query('begin'), client.query(insert('queued')), client.query('commit')])
    client.release()
    assert.equal(Object.keys(await tokenOf('reader:queued')).length, 1)
  })

  test('a submitted query object that writes outside a transaction is refused by name', async () => {
    const client = await ff.as({ reader: 'reader:submit' }).databases.main.pool.connect()
    assert.throws(() => client.query(new pg.Query(insert('submit'))), { code: 'FF_DATABASE_CURSOR' })
    client.release()
    await assert.rejects(
      Promise.resolve().then(() => ff.databases.main.pool.query(new pg.Query('select 1') as never)),
      {
        code: 'FF_DATABASE_CURSOR',
      },
    )
  })

  test('a query of its own kind behind a write that was not waited for gets its own answer', async () => {
    const client = await ff.as({ reader: 'reader:behind' }).databases.main.pool.connect()
    const query = new pg.Query('select 42 as answer')
    const rows: unknown[] = []
    const ended = new Promise((resolve, reject) => {
      query.on('row', (row) => void rows.push(row))
      query.on('end', resolve)
      query.on('error', reject)
    })
    // As pg-cursor and pg-query-stream are: no pg.Query.
    const cursor = new Proxy(query, { getPrototypeOf: () => Object.prototype })
    const writing = client.query(insert('behind'))
    client.query(cursor)
    const after = client.query('select 43 as answer')
    await ended
    assert.deepEqual(rows, [{ answer: 42 }])
    assert.deepEqual((await after).rows, [{ answer: 43 }])
    assert.equal((await writing).rowCount, 1)
    client.release()
  })

  test('parameters that do not fit are an error of their statement, and no lost connection', async () => {
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:misfit')
    const { pool } = clone.as({ reader: 'reader:misfit', level: 'session' }).databases.main
    await assert.rejects(pool.query('select $1::int + $2::int', [1]), { code: '08P01' })
    await assert.rejects(pool.query('insert into notes (author, text) values ($1, $2)', ['x']), { code: '08P01' })
    const unreachable = `do $$ begin raise 'no way to the foreign server' using errcode = '08001'; end $$`
    await assert.rejects(pool.query(unreachable), { code: '08001' })
    assert.equal(clusterOf(clone).counts.replicaFaults, 0)
  })

  test('a write that a view hides runs once, and its reader sees it', async () => {
    await admin.query(`create function note_it() returns int language plpgsql as
      $$ begin insert into notes (author, text) values ('hidden', 'x'); return 1; end $$`)
    await admin.query('create view noting as select note_it()')
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:hidden')
    const { pool } = clone.as({ reader: 'reader:hidden', level: 'session' }).databases.main
    const { counts } = clusterOf(clone)
    const faults = counts.replicaFaults
    await waitFor('a replica that has the view', async () => {
      await pool.query('select * from noting')
      const { rows } = await pool.query(`select count(*)::int as noted from notes where author = 'hidden'`)
      assert.ok(rows[0].noted > 0, 'the reader sees what was written')
      return counts.replicaFaults > faults
    })
    const { main } = clone.as({ reader: 'reader:hidden-too' }).databases
    await main.transaction().execute((trx) =>
      trx
        .selectFrom('noting' as never)
        .selectAll()
        .execute(),
    )
    assert.equal(Object.keys(await tokenOf('reader:hidden-too')).length, 1)
    await waitFor('a refusal', async () => {
      await pool.query('select * from noting')
      return Object.keys(await tokenOf('reader:hidden')).length === 1
    })
  })

  test('a replica that is full is left alone, and answers what it runs', async () => {
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:full')
    const { pool } = clone.as({ reader: 'reader:full', level: 'session' }).databases.main
    const { counts } = clusterOf(clone)
    const faults = counts.replicaFaults
    const sleeping = pool.query('select pg_sleep(1)')
    const others: pg.Client[] = []
    const fill = async (): Promise<boolean> => {
      const client = new pg.Client(connections.databases['main']?.replicas[0]?.address)
      others.push(client)
      return await client.connect().then(
        () => false,
        (error: { code?: string }) => error.code === '53300',
      )
    }
    try {
      while (!(await fill()));
      await Promise.all(Array.from({ length: 8 }, () => pool.query('select 1')))
      await sleeping
      assert.equal(counts.replicaFaults, faults)
    } finally {
      await Promise.all(others.map((client) => client.end()))
    }
  })

  test('an open transaction is refused through pool.query, and never reaches the next holder', async () => {
    const { pool } = ff.as({ reader: 'reader:open' }).databases.main
    await assert.rejects(pool.query('begin'), { code: 'FF_DATABASE_TRANSACTION' })
    const client = await pool.connect()
    await client.query('begin')
    await client.query(insert('left open'))
    client.release(false)
    await pool.query(insert('after'))
    const { rows } = await admin.query(`select author from notes where author in ('left open', 'after')`)
    assert.deepEqual(rows, [{ author: 'after' }])
  })

  test('a write that fails leaves its client as it was', async () => {
    const client = await ff.as({ reader: 'reader:failing' }).databases.main.pool.connect()
    const [row] = (await client.query(`insert into notes (author, text) values ('first', 'x') returning id`)).rows
    await assert.rejects(client.query(`insert into notes (id, author) values (${row.id}, 'again')`), { code: '23505' })
    await assert.rejects(client.query('insert into notes (id) values ($1)', ['no number']), { code: '22P02' })
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    await assert.rejects(client.query('insert into notes (text) values ($1)', [circular]), TypeError)
    await client.query('begin')
    await client.query('update notes set text = $2 where id = $1', [row.id, 'y'])
    await client.query('rollback')
    const answers = await Promise.all([
      client.query('update notes set text = $2 where id = $1', [row.id, 'z']),
      client.query('select text from notes where id = $1', [row.id]),
      client.query('delete from notes where id = $1', [row.id]),
    ])
    assert.deepEqual(answers[1].rows, [{ text: 'z' }])
    assert.deepEqual([answers[0].rowCount, answers[2].rowCount], [1, 1])
    client.release()
  })

  test('a backend that dies under a held client is an error of its statement, not of the process', async () => {
    const client = await ff.databases.main.pool.connect()
    const { rows } = await client.query('select pg_backend_pid() as pid')
    await admin.query('select pg_terminate_backend($1)', [rows[0].pid])
    await assert.rejects(client.query('select pg_sleep(5)'))
    client.release()
    assert.equal((await ff.databases.main.pool.query('select 1 as one')).rows[0].one, 1)
  })

  test('a statement that cannot be read is an error of its own, also when it had to wait for a connection', async () => {
    await using clone = await openClone(1)
    await readFromReplica(clone, 'reader:refused')
    const { pool } = clone.as({ reader: 'reader:refused', level: 'session' }).databases.main
    const torn = {
      text: 'select 1',
      get values(): unknown[] {
        throw new TypeError('there are no values')
      },
    }
    await assert.rejects(pool.query(torn), TypeError)
    const running = pool.query('select pg_sleep(0.2)')
    const waiting = Array.from({ length: 3 }, () => assert.rejects(pool.query(torn), TypeError))
    await Promise.all([running, ...waiting])
    assert.equal(clusterOf(clone).counts.replicaFaults, 0)
    await readFromReplica(clone, 'reader:refused')
  })

  test('a parameter that cannot be sent takes no replica out', async () => {
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:circular')
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const reader = clone.as({ reader: 'reader:circular', level: 'session' }).databases.main
    await assert.rejects(reader.pool.query('select $1::json', [circular]), TypeError)
    assert.equal(clusterOf(clone).counts.replicaFaults, 0)
    const { counts } = clusterOf(clone)
    const seen = counts.replicaReads
    await reader.pool.query('select 1')
    assert.equal(counts.replicaReads, seen + 1, 'the replica was left out')
  })

  test('a read-only transaction with an error inside gives its connection back', async () => {
    await using clone = await openClone(1)
    await readFromReplica(clone, 'reader:ro')
    const { main } = clone.as({ reader: 'reader:ro', level: 'session' }).databases
    for (let round = 0; round < 3; round += 1) {
      const failing = main
        .transaction()
        .setAccessMode('read only')
        .execute(async (trx) => {
          await trx.selectFrom('notes').select('id').execute()
          await trx
            .selectFrom('nothing' as never)
            .selectAll()
            .execute()
        })
      await assert.rejects(failing, { code: '42P01' })
    }
    await readFromReplica(clone, 'reader:ro')
  })

  test('a busy pool is not a dead primary: nothing older than maxStaleness is served', async () => {
    await using clone = await openClone(1)
    const { pool } = clone.databases.main
    await readFromReplica(clone, 'reader:busy')
    const held = await pool.connect()
    try {
      for (let round = 0; round < 3; round += 1) await clusterOf(clone).monitor.sample()
      assert.equal(clusterOf(clone).monitor.primaryDown, false)
    } finally {
      held.release()
    }
  })

  test('closing does not wait for ever for a client nobody gives back, and lets go of it', async () => {
    const clone = await openClone(2)
    const client = await clone.databases.main.pool.connect()
    const running = assert.rejects(client.query('select pg_sleep(60)'))
    const began = performance.now()
    await clone.close()
    assert.ok(performance.now() - began < 5_000)
    await running
    await assert.rejects(clone.databases.main.pool.query('select 1'), { code: 'FF_CORE_CLOSED' })
  })

  test('an idle replica connection that dies cuts no statement that runs', async () => {
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:idle')
    const { pool } = clone.as({ reader: 'reader:idle', level: 'session' }).databases.main
    const { counts } = clusterOf(clone)
    const replica = new pg.Client(connections.databases['main']?.replicas[0]?.address)
    await replica.connect()
    try {
      const sleeping = pool.query('select pg_sleep(1)')
      await pool.query('select 1')
      const { rowCount } = await replica.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fourfold main' and state = 'idle'`,
      )
      assert.ok((rowCount ?? 0) > 0, 'there was an idle connection')
      await sleeping
      assert.equal(counts.replicaFaults, 0)
      await readFromReplica(clone, 'reader:idle')
    } finally {
      await replica.end()
    }
  })

  test('reads go on where every connection to the primary was cut; a write says that its outcome is unknown', async () => {
    await using clone = await openClone()
    const strict = clone.as({ reader: 'reader:cut', level: 'strict' }).databases.main
    const cutAll = (): Promise<unknown> =>
      admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fourfold main' and pid <> pg_backend_pid()`,
      )
    await Promise.all(Array.from({ length: 4 }, () => strict.pool.query('select pg_sleep(0.01)')))
    await cutAll()
    await Promise.all(Array.from({ length: 8 }, () => strict.pool.query('select 1')))
    await Promise.all(Array.from({ length: 4 }, () => strict.selectFrom('notes').select('id').limit(1).execute()))
    const writing = strict.pool.query(`insert into notes (author, text) select 'cut', pg_sleep(60)::text`)
    const lost = assert.rejects(writing, { code: 'FF_DATABASE_CONNECTION_LOST', statusCode: 503 })
    await waitFor('the write to run', async () => {
      const { rows } = await admin.query(`select 1 from pg_stat_activity where query like 'insert%pg_sleep(60)%'`)
      return rows.length > 0
    })
    await cutAll()
    await lost
  })

  test('a replica that hangs is left out within seconds, reads go on, and it comes back', async () => {
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:hang')
    const { pool } = clone.as({ reader: 'reader:hang', level: 'session' }).databases.main
    const backends = await replicaBackends()
    const thaw = freeze(backends)
    try {
      const began = performance.now()
      await Promise.all(Array.from({ length: 12 }, () => pool.query('select count(*) from notes')))
      assert.ok(performance.now() - began < 5_000, `took ${performance.now() - began} ms`)
    } finally {
      thaw()
    }
    await readFromReplica(clone, 'reader:hang')
  })

  test('after a crash of the primary, old tokens and nameless readers find their way back to replicas', async () => {
    await using clone = await openClone()
    const mine = clone.as({ reader: 'reader:crash', level: 'session' }).databases.main.pool
    await mine.query(insert('crash'))
    await readFromReplica(clone, 'reader:crash')
    const [before] = Object.keys(await tokenOf('reader:crash'))
    const { rows } = await admin.query('select pg_backend_pid() as pid')
    process.kill(rows[0].pid as number, 'SIGKILL')
    const renewed = async (): Promise<boolean> => {
      await mine.query(insert('after the crash'))
      return Object.keys(await tokenOf('reader:crash')).some((epoch) => epoch !== before && !epoch.startsWith('?'))
    }
    await waitFor('the primary', () => renewed().catch(() => false), 15_000)
    await readFromReplica(clone, 'reader:crash')
    const nobody = clone.as({ reader: null, level: 'session' }).databases.main.pool
    const { counts } = clusterOf(clone)
    const seen = counts.replicaReads
    await waitFor('a nameless read on a replica', () => nobody.query('select 1').then(() => counts.replicaReads > seen))
    const parts = Object.keys(await tokenOf('reader:crash'))
    assert.equal(parts.length, 1)
    assert.notEqual(parts[0], before)
  })

  test('what a derived scope writes is seen by the request it was derived from', async () => {
    const request = ff.as({ reader: 'reader:derived', level: 'session', keepToken: true })
    const { tokens } = clusterOf(ff)
    await request.scope.require(tokens)
    for (const derived of [request.as({ reader: 'reader:derived' }), request.as({ pinned: true })]) {
      await derived.databases.main.pool.query(insert('derived'))
      const [lsn] = Object.values(await tokenOf('reader:derived'))
      const required = await request.scope.require(tokens)
      assert.equal(required.kind === 'position' && required.position.lsn, lsn)
    }
  })

  test('a write of a derived scope that could not be settled unsettles the request', async () => {
    const request = ff.as({ reader: 'reader:unsettled', keepToken: true })
    await storeServer.stop()
    try {
      await request.as({ reader: 'reader:other' }).databases.main.pool.query(insert('unsettled'))
      assert.equal(request.scope.settled, false)
      assert.equal(ff.scope.settled, true)
    } finally {
      const socketPath = join(directory, 'store.sock')
      storeServer = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
    }
  })

  test('a read-only transaction begins on the primary where the replica just lost its connections', async () => {
    await using clone = await openClone()
    await readFromReplica(clone, 'reader:begin')
    const replica = new pg.Client(connections.databases['main']?.replicas[0]?.address)
    await replica.connect()
    await replica.query(`select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()
      and backend_type = 'client backend'`)
    const { main } = clone.as({ reader: 'reader:begin', level: 'session' }).databases
    const begun = main.transaction().setAccessMode('read only')
    const rows = await begun.execute((trx) => trx.selectFrom('notes').select('id').execute())
    assert.ok(rows.length > 0)
    await replica.end()
  })

  test('a first seed that two systems begin at once runs once', async () => {
    let runs = 0
    const seed = async (): Promise<void> => {
      runs += 1
    }
    const seeded = defineApp({ databases: { main: database<Schema>() }, seed })
    const begin = (): Promise<boolean> => seedOnce(seeded as never, ff as never, () => undefined)
    const outcomes = await Promise.all([begin(), begin(), begin(), begin()])
    assert.equal(outcomes.filter(Boolean).length, 1)
    assert.equal(runs, 1)
  })

  /** The postmaster of the replica and the backends that serve clients. */
  async function replicaBackends(): Promise<number[]> {
    const cluster = prepared.embedded.get('main') ?? assert.fail('expected an embedded cluster')
    const postmaster =
      cluster.processes().find(({ role }) => role === 'replica')?.pid ?? assert.fail('expected a replica')
    const probe = new pg.Client(connections.databases['main']?.replicas[0]?.address)
    await probe.connect()
    const { rows } = await probe.query(
      `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    )
    await probe.end()
    return [postmaster, ...rows.map((row) => row.pid as number)]
  }
})
