import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { hashRow, templateId, type TemplateId } from '../../src/freshness/changes/hash.ts'
import { CommitBuilder } from '../../src/freshness/tracker/commit-builder.ts'
import { planRelation, RowHasher } from '../../src/freshness/tracker/row-hashing.ts'
import { rowMessage, unchanged, updateWithoutBefore } from '../support/row-message.ts'

import type { RowTag } from '../../src/engines/postgres/changes/rows.ts'

const [int4, text, float8, point, mood] = [23, 25, 701, 600, 20_001]
/** Of table 7: what may be in an article. */
const columns = [
  { name: 'id', type: int4, identity: true },
  { name: 'author', type: int4, identity: false },
  { name: 'body', type: text, identity: false },
  { name: 'rank', type: float8, identity: false },
  { name: 'place', type: point, identity: false },
  { name: 'mood', type: mood, identity: false },
]
const row = ['1', '7', 'long', '0.5', '(1,2)', 'ok'] as const

interface Heard {
  readonly rows: readonly string[]
  readonly wide: readonly number[]
}

/** What a commit with this change says under one template; of a table 7 whose oid may be a part's. */
function heard(template: TemplateId, tag: RowTag, message: Buffer, ownExact: readonly number[] = []): Heard {
  const [hasher, builder] = [new RowHasher(), new CommitBuilder()]
  const plan = planRelation({ oid: 7, columns }, [7], [template], new Set(ownExact))
  hasher.add(plan, tag, message, builder)
  const changes = builder.finish(100)
  assert.deepEqual(changes?.tables, [7], 'whoever depends on the whole table hears of it')
  const hashes = [...(changes?.hashes ?? [])]
  return {
    rows: Array.from({ length: hashes.length / 2 }, (_, at) => hashes.slice(2 * at, 2 * at + 2).join()),
    wide: changes?.wide ?? [],
  }
}

const hash = (template: TemplateId, ...values: string[]): string => hashRow(template, values).join()
const changed = (column: string, value: string | null | typeof unchanged): Buffer => {
  const after = columns.map(({ name }, at) => (name === column ? value : (row[at] ?? null)))
  return rowMessage(7, { old: row, new: after })
}
const quiet: Heard = { rows: [], wide: [] }

describe('an update, where the whole row before is known', () => {
  const byAuthor = templateId(7, ['author'], ['body'])
  const loud: Heard = { rows: [hash(byAuthor, '7')], wide: [] }

  test('of a column that is not read, is none', () => {
    assert.deepEqual(heard(byAuthor, 'update', changed('rank', '0.7')), quiet)
    assert.deepEqual(heard(byAuthor, 'update', changed('place', '(3,4)')), quiet)
  })

  test('of a column that is read, is one', () => {
    assert.deepEqual(heard(byAuthor, 'update', changed('body', 'longer')), loud)
    for (const body of ['lonh', 'lon', '']) assert.deepEqual(heard(byAuthor, 'update', changed('body', body)), loud)
    assert.deepEqual(heard(byAuthor, 'update', changed('body', null)), loud)
  })

  test('of a key, is one under the old and the new one', () => {
    const both = [hash(byAuthor, '7'), hash(byAuthor, '8')]
    assert.deepEqual(heard(byAuthor, 'update', changed('author', '8')), { rows: both, wide: [] })
    assert.deepEqual(heard(byAuthor, 'update', changed('author', null)), loud)
  })

  test('a value that is stored apart and did not change, did not change', () => {
    assert.deepEqual(heard(byAuthor, 'update', changed('body', unchanged)), quiet)
    const otherKey = rowMessage(7, { old: row, new: ['1', '8', unchanged, '0.5', '(1,2)', 'ok'] })
    assert.equal(heard(byAuthor, 'update', otherKey).rows.length, 2)
  })

  test('a long value is compared to its end', () => {
    const long = 'é'.repeat(5000)
    const message = (end: string): Buffer =>
      rowMessage(7, {
        old: ['1', '7', `${long}a`, null, null, null],
        new: ['1', '7', `${long}${end}`, null, null, null],
      })
    assert.deepEqual(heard(byAuthor, 'update', message('a')), quiet)
    assert.deepEqual(heard(byAuthor, 'update', message('b')), loud)
  })

  test('null before and after is the same, null and the empty text are not', () => {
    const message = (one: string | null, other: string | null): Buffer =>
      rowMessage(7, { old: ['1', '7', one, null, null, null], new: ['1', '7', other, '1', null, null] })
    assert.deepEqual(heard(byAuthor, 'update', message(null, null)), quiet)
    assert.deepEqual(heard(byAuthor, 'update', message('', null)), loud)
    assert.deepEqual(heard(byAuthor, 'update', message(null, '')), loud)
  })

  test('bytes that are no text are told apart all the same', () => {
    const broken = (from: number, to: number): Buffer => {
      const message = Buffer.from(
        rowMessage(7, { old: ['1', '7', 'x', null, null, null], new: ['1', '7', 'x', null, null, null] }),
      )
      message[message.indexOf('x')] = from
      message[message.lastIndexOf('x')] = to
      return message
    }
    assert.deepEqual(heard(byAuthor, 'update', broken(0xff, 0xff)), quiet)
    assert.deepEqual(heard(byAuthor, 'update', broken(0xff, 0xfe)), loud)
  })

  test('of the whole table as far as it is read, raises the one hash that all rows have', () => {
    const list = templateId(7, [], ['author', 'id'])
    assert.deepEqual(heard(list, 'update', changed('body', 'x')), quiet)
    assert.deepEqual(heard(list, 'update', changed('author', '9')), { rows: [hash(list)], wide: [] })
    const count = templateId(7, [], [])
    assert.deepEqual(heard(count, 'update', changed('author', '9')), quiet)
    assert.deepEqual(heard(count, 'insert', rowMessage(7, { new: row })), { rows: [hash(count)], wide: [] })
    assert.deepEqual(heard(count, 'delete', rowMessage(7, { old: row })), { rows: [hash(count)], wide: [] })
  })

  test('always counts where all columns are read: the table may have more than the stream, generated ones', () => {
    const all = templateId(7, ['id'])
    const [hasher, builder] = [new RowHasher(), new CommitBuilder()]
    const plan = planRelation({ oid: 7, columns: columns.slice(0, 4) }, [7], [all])
    hasher.add(plan, 'update', rowMessage(7, { old: row.slice(0, 4), new: row.slice(0, 4) }), builder)
    assert.deepEqual([...(builder.finish(1)?.hashes ?? [])], [...hashRow(all, ['1'])])
  })

  test('always counts where a column is read that cannot be compared: of a strange type, or not in the stream', () => {
    for (const reads of [['place'], ['mood'], ['generated']]) {
      const template = templateId(7, ['id'], reads)
      assert.deepEqual(heard(template, 'update', changed('body', 'x')), { rows: [hash(template, '1')], wide: [] })
    }
    const enums = templateId(7, ['id'], ['mood'])
    assert.deepEqual(heard(enums, 'update', changed('body', 'x'), [mood]), quiet)
    assert.equal(heard(enums, 'update', changed('mood', 'sad'), [mood]).rows.length, 1)
  })

  test('a key that is not in the stream names the table', () => {
    assert.deepEqual(heard(templateId(7, ['gone'], ['id']), 'update', changed('body', 'x')).wide, [7])
  })
})

describe('an update of which only the identity is known', () => {
  test('counts as a change of all columns', () => {
    const byId = templateId(7, ['id'], ['author'])
    const after = ['1', '7', unchanged, '0.5', '(1,2)', 'ok'] as const
    assert.deepEqual(heard(byId, 'update', updateWithoutBefore(7, after)), { rows: [hash(byId, '1')], wide: [] })
    const moved = rowMessage(7, { key: ['0', null, null, null, null, null], new: after })
    assert.deepEqual(heard(byId, 'update', moved).rows, [hash(byId, '0'), hash(byId, '1')])
    const list = templateId(7, [], ['author'])
    assert.deepEqual(heard(list, 'update', updateWithoutBefore(7, after)), { rows: [hash(list)], wide: [] })
    const byAuthor = templateId(7, ['author'], ['id'])
    assert.deepEqual(heard(byAuthor, 'update', updateWithoutBefore(7, after)).wide, [7])
  })
})
