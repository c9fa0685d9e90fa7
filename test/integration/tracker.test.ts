import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { hashRow, templateId } from '../../src/freshness/changes/hash.ts'
import { askToWatch } from '../../src/freshness/tracker/watch-list.ts'
import { connectTestStore, MessageReader, startTestTracker, untilStreaming } from '../support/change-stream.ts'
import { connect, startTestCluster } from '../support/postgres.ts'

test('a change is in the store, with its hashes, and becomes visible', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const client = await connect(t, cluster.primary)
  await client.query('create table people (id int primary key, name text, bio text)')
  const { rows } = await client.query(`select 'people'::regclass::oid::int as oid`)
  const table = rows[0].oid as number
  const store = await connectTestStore(t)
  const tracker = startTestTracker(t, { database: 'main', address: cluster.primary, store })
  await untilStreaming(tracker)
  const reader = new MessageReader(store, 'main')
  const template = templateId(table, ['name'])
  await askToWatch(store, 'main', { tables: [table], templates: [template] })
  await reader.until('coverage', (messages) => messages.at(-1)?.coverage?.templates.has(template))
  await client.query(`insert into people values (1, 'ada', 'x')`)
  const { lsn } = await readWritePosition(client)
  const change = await reader.until('the change', (messages) =>
    messages.flatMap(({ commits }) => commits).find(({ tables }) => tables.includes(table)),
  )
  assert.ok(change.to <= lsn)
  assert.deepEqual([...change.hashes], [...hashRow(template, ['ada'])])
  await reader.until('visibility', (messages) => (messages.at(-1)?.visible ?? 0) >= change.to)
  for (const [index, message] of reader.all.entries()) {
    if (index > 0) assert.equal(message.from, reader.all[index - 1]?.to)
  }
})
