import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isReplicaRefusal } from '../../src/engines/postgres/client.ts'
import { loadClassifier } from '../../src/engines/postgres/classify.ts'
import { functionEffect } from '../../src/engines/postgres/classify/functions.ts'
import { connect, startTestCluster, untilReplayed } from '../support/postgres.ts'

test('classification against the server itself', async (t) => {
  const cluster = await startTestCluster(t, {})
  const primary = await connect(t, cluster.primary)
  const replica = await connect(t, cluster.replicas[0]!)
  const classifier = await loadClassifier()

  await t.test(
    'no function that the server calls volatile counts as harmless, but those without an effect',
    async () => {
      const { rows } = await primary.query(`
      select distinct proname as name from pg_proc
      where provolatile = 'v' and pronamespace = 'pg_catalog'::regnamespace order by 1`)
      const taken = rows
        .map((row) => row.name as string)
        .filter((name) => functionEffect(null, name, new Set()) === 'none')
      assert.deepEqual(taken, [
        'array_sample',
        'array_shuffle',
        'clock_timestamp',
        'gen_random_uuid',
        'pg_sleep',
        'random',
        'random_normal',
        'timeofday',
        'uuidv4',
        'uuidv7',
      ])
    },
  )

  await t.test('what runs on a standby may count as a read, what it refuses counts as a refusal', async () => {
    await primary.query(`
      create table t (id int primary key, body text); insert into t values (1, 'a'), (2, 'b');
      create unlogged table u (id int);
      create sequence s;
      create view sly as select nextval('s') as n`)
    await untilReplayed(primary, replica)
    const reads = [
      'select * from t',
      'select now(), random(), gen_random_uuid()',
      'explain analyze select * from t',
      'table t; values (1)',
      `select jsonb_agg(t) from t`,
    ]
    for (const sql of reads) {
      assert.equal(classifier.classify(sql).kind, 'read', sql)
      await replica.query(sql)
    }
    for (const sql of ['select * from sly', 'select * from u', 'select * from only_on_the_primary']) {
      assert.equal(classifier.classify(sql).kind, 'read', `${sql}: the text does not show it`)
      await assert.rejects(replica.query(sql), (error) => isReplicaRefusal(error), sql)
    }
    await assert.rejects(replica.query('select 1 / 0'), (error) => !isReplicaRefusal(error))
  })
})
