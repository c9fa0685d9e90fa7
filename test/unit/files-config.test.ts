/** The settings of files. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveConfig } from '../../src/app/config.ts'
import { isFourfoldError } from '../../src/core/errors.ts'

const problemsOf = (files: object): readonly string[] => {
  try {
    resolveConfig({ databases: { main: {}, pictures: {} }, files }, {})
    return []
  } catch (error) {
    assert.ok(isFourfoldError(error, 'FF_CONFIG_INVALID'))
    return (error.fields['problems'] as { path: string }[]).map(({ path }) => path)
  }
}

test('files are in the main database, of 5 MiB at most and under /files, unless said otherwise', () => {
  const { files } = resolveConfig({ databases: { main: {} } }, {})
  assert.deepEqual(
    { ...files, s3: files.s3.bucket },
    { database: 'main', maxSizeBytes: 5 * 1024 ** 2, path: '/files', s3: undefined },
  )
  const env = { FOURFOLD_FILES_S3_BUCKET: 'uploads', FOURFOLD_FILES_MAX_SIZE: '1GiB' }
  const other = resolveConfig({ databases: { main: {} } }, env).files
  assert.equal(other.s3.bucket, 'uploads')
  assert.equal(other.maxSizeBytes, 1024 ** 3)
})

test('what could not work is refused where it is written', () => {
  assert.deepEqual(problemsOf({ database: 'pictures', path: '/a/b' }), [])
  assert.deepEqual(problemsOf({ database: 'nope' }), ['files.database'])
  for (const path of ['files', '/files/', '/', '/:name', '/a b', '']) {
    assert.deepEqual(problemsOf({ path }), ['files.path'], path)
  }
  assert.deepEqual(problemsOf({ s3: { region: 'eu-central-1' } }), ['files.s3.region'])
  assert.deepEqual(problemsOf({ s3: { bucket: 'b', accessKeyId: 'k' } }), ['files.s3.accessKeyId'])
  assert.deepEqual(problemsOf({ s3: { bucket: 'b', accessKeyId: 'k', secretAccessKey: 's' } }), [])
  assert.deepEqual(problemsOf({ s3: { bucket: 'b' }, database: 'nope' }), [])
})
