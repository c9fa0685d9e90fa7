import assert from 'node:assert/strict'
import { test } from 'node:test'

import { asOf } from '../../src/engines/position.ts'
import { silentLogger } from '../../src/core/log.ts'
import { ChangeFollower, type FollowerOptions } from '../../src/freshness/changes/follower.ts'
import { hashRow, hashVersion, templateId } from '../../src/freshness/changes/hash.ts'
import { PartRecorder } from '../../src/freshness/changes/recorder.ts'

const template = templateId(1, ['id'])

/** Hashes that one entry depends on, of a batch in which rows were read by these values. */
function hashesOf(
  own: string,
  others: readonly string[],
  values: readonly string[],
  reads: readonly string[] | null = null,
): readonly number[] {
  const store = null as unknown as FollowerOptions['store']
  const follower = new ChangeFollower({ database: 'main', store, filterSlots: 64, log: silentLogger })
  const coverage = {
    tables: new Map([[1, { since: 0, tracking: 'full' as const }]]),
    templates: new Map([[templateId(1, ['id'], reads), 0]]),
  }
  const message = { hashVersion, epoch: 'e', tracker: 't', from: 0, to: 9, visible: 9, commits: [], coverageId: 'c' }
  follower.accept({ ...message, coverage })
  const recorder = new PartRecorder('main', follower, 'id')
  recorder.bound(asOf(follower.visible!), false)
  recorder.record([{ table: 1, columns: ['id'], reads, values: values.map((value) => [value]) }])
  const part = recorder.finish({ own, keys: new Set([own, ...others]) })
  assert.ok('dependencies' in part)
  return part.dependencies.rows.flatMap(({ hashes }) => hashes)
}

test('an entry of a batch depends on the rows of its own key', () => {
  assert.deepEqual(hashesOf('1', ['2'], ['1', '2']), hashRow(template, ['1']))
})

test('also where another key of the batch has the same text, as 1 and the text 1', () => {
  assert.deepEqual(hashesOf('1', ['1', '2'], ['1', '2']), hashRow(template, ['1']))
})

test('also where only some columns are read', () => {
  assert.deepEqual(hashesOf('1', ['2'], ['1', '2'], ['title']), hashRow(templateId(1, ['id'], ['title']), ['1']))
})

test('a key in another spelling than the server has depends on all rows of the batch', () => {
  assert.deepEqual(hashesOf('AB', ['ab'], ['ab']), hashRow(template, ['ab']))
  assert.deepEqual(hashesOf('ab', ['AB'], ['ab']), hashRow(template, ['ab']))
})
