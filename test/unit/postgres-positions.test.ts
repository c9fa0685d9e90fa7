import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isReplicaRefusal } from '../../src/engines/postgres/client.ts'
import { beforePageHeader, parseReplayPosition, parseWritePosition } from '../../src/engines/postgres/positions.ts'

test('a write position behind a page header is rounded down to the record it ends', () => {
  const page = 8192
  const file = 1024 * 1024
  assert.equal(beforePageHeader(5 * file + 2 * page + 24, 2 * page + 24), 5 * file + 2 * page)
  assert.equal(beforePageHeader(5 * file + 40, 40), 5 * file)
})

test('a position that only looks like a page header stays', () => {
  const page = 8192
  assert.equal(beforePageHeader(page + 40, page + 40), page + 40)
  assert.equal(beforePageHeader(page + 32, page + 32), page + 32)
  assert.equal(beforePageHeader(2 * page, 2 * page), 2 * page)
})

test('rows without an epoch are no positions', () => {
  assert.equal(parseWritePosition({ lsn: '0/16B3748', offset: 7_026_504, epoch: null }), null)
  assert.equal(parseReplayPosition(undefined), null)
  assert.equal(parseReplayPosition({ lsn: null, epoch: 'e' }), null)
  assert.equal(parseReplayPosition({ lsn: '0/1', epoch: null }), null)
  assert.deepEqual(parseReplayPosition({ lsn: '1/10', epoch: 'e' }), { epoch: 'e', lsn: 2 ** 32 + 16 })
})

test("a standby's refusals are told from mistakes in a statement", () => {
  const refusal = (code: string, message = ''): boolean => isReplicaRefusal(Object.assign(new Error(message), { code }))
  assert.equal(refusal('25006'), true)
  assert.equal(refusal('0A000', 'cannot access temporary or unlogged relations during recovery'), true)
  assert.equal(refusal('0A000', 'not implemented'), false)
  assert.equal(refusal('22012'), false)
  assert.equal(refusal('ECONNREFUSED'), false)
})
