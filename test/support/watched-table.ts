/** A table that is watched, with writers that note what the stream must tell of each write. */

import assert from 'node:assert/strict'

import type pg from 'pg'

import { parseLsn, type Lsn } from '../../src/engines/position.ts'
import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { templateId, type TemplateId } from '../../src/freshness/changes/hash.ts'
import { askToWatch } from '../../src/freshness/tracker/watch-list.ts'
import type { Store } from '../../src/store/store.ts'
import type { ChangeFollower } from './change-follower.ts'
import type { MessageReader } from './change-stream.ts'

export interface Write {
  readonly value: string
  /** The log's end when the commit was about to begin. */
  readonly before: Lsn
  /** The log's end after it. */
  readonly token: Lsn
  readonly epoch: string
}

export interface WatchedTable {
  readonly oid: number
  readonly template: TemplateId
  /** Writes one row with a value that nobody else writes, in a transaction. */
  write(client: pg.Client, value: string): Promise<Write>
  /** Fails if the follower has come past a write and does not know of it. */
  mustKnow(follower: ChangeFollower, write: Write): void
  isPast(follower: ChangeFollower, write: Write): boolean
}

export async function createWatchedTable(
  client: pg.Client,
  store: Store,
  reader: MessageReader,
  name: string,
): Promise<WatchedTable> {
  await client.query(`create table ${name} (id bigint generated always as identity primary key, value text)`)
  const { rows } = await client.query('select $1::regclass::oid::int as oid', [name])
  const oid = rows[0].oid as number
  const template = templateId(oid, ['value'])
  await askToWatch(store, reader.database, { tables: [oid], templates: [template] })
  await reader.until(`${name} to be watched`, (messages) => {
    const coverage = messages.findLast((message) => message.coverage !== null)?.coverage
    return coverage?.tables.has(oid) === true && coverage.templates.has(template)
  })
  const isPast = (follower: ChangeFollower, { token, epoch }: Write): boolean =>
    follower.epoch === epoch && follower.watermark >= token
  return {
    oid,
    template,
    isPast,
    write: async (writer, value) => await writeRow(writer, name, value),
    mustKnow: (follower, write) => {
      if (!isPast(follower, write)) return
      const changed = follower.changed(template, oid, [write.value])
      assert.ok(
        changed > write.before,
        `the change of ${write.value} in (${write.before}, ${write.token}] is missing: last change at ${changed}, watermark ${follower.watermark}`,
      )
    },
  }
}

async function writeRow(client: pg.Client, table: string, value: string): Promise<Write> {
  await client.query('begin')
  await client.query(`insert into ${table} (value) values ($1)`, [value])
  const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
  await client.query('commit')
  const { epoch, lsn } = await readWritePosition(client)
  return { value, before: parseLsn(rows[0].lsn), token: lsn, epoch }
}
