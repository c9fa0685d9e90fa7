/** Files of an app that keeps them in S3: the same `ff.files`, and a clone that dies in the middle of a large upload. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'

import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { database, defineApp, open } from 'fourfold'
import { ensureS3, hasS3 } from '../../scripts/s3-service.ts'
import { prepareDatabases } from '../../src/app/connections.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { silentLogger } from '../../src/core/log.ts'
import { startStoreServer } from '../../src/store/memory/server.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { killUploader, startUploader } from '../support/start-uploader.ts'

const skip = (await hasS3()) ? false : 'no S3 server on this machine'
const app = defineApp({ databases: { main: database<Record<string, never>>({ replicas: 0 }) } })

test('an app keeps its files in S3', { skip }, async (t) => {
  const directory = await makeDirectory(t, 'ff-files-s3-')
  const config = resolveConfig(app.definition, {}, { dataDir: directory })
  const prepared = await prepareDatabases({ config, directory, processes: 2, log: silentLogger })
  endAfter(t, () => prepared.stop())
  const socketPath = join(directory, 'store.sock')
  const store = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
  endAfter(t, () => store.stop())
  const { endpoint, accessKeyId, secretAccessKey, stop } = await ensureS3()
  endAfter(t, stop)
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials })
  endAfter(t, async () => client.destroy())
  const connections = { databases: prepared.databases, storeUrl: `unix:${socketPath}` }
  const files = { s3: { bucket: 'app', prefix: 'one/', endpoint, accessKeyId, secretAccessKey } }
  const ff = await open(app, { connections, config: { dataDir: directory, files }, log: silentLogger })
  endAfter(t, () => ff.close())

  await t.test('a bucket that is not there is named', async () => {
    await assert.rejects(ff.files.put(randomBytes(10)), {
      code: 'FF_FILES_UNAVAILABLE',
      message: /bucket app: NoSuchBucket/,
    })
  })

  await client.send(new CreateBucketCommand({ Bucket: 'app' }))

  await t.test('what is put is read, answered in parts, and removed', async () => {
    const bytes = randomBytes(6 * 1024 ** 2)
    const stored = await ff.as({ reader: 'user:1' }).files.put(bytes, { maxBytes: bytes.length })
    const answer = await ff.files.answer({ method: 'GET', headers: { range: 'bytes=5242870-5242890' } }, stored.name)
    assert.equal(answer.status, 206)
    assert.ok((await buffer(answer.body ?? assert.fail())).equals(bytes.subarray(5_242_870, 5_242_891)))
    assert.equal(await ff.files.remove(stored.name), true)
    assert.equal((await ff.files.answer({ method: 'GET', headers: {} }, stored.name)).status, 404)
  })

  await t.test('a clone killed in the middle of an upload leaves nothing to be seen', async () => {
    const uploads = async (): Promise<number> =>
      ((await client.send(new ListMultipartUploadsCommand({ Bucket: 'app' }))).Uploads ?? []).length
    const clone = await startUploader({ connections, directory, files, pieces: 45 })
    const { name } = clone.report
    await killUploader(clone)
    assert.equal(await uploads(), 1)
    assert.equal(await ff.files.head(name), null)
    assert.equal(await ff.files.sweep(), 0)
    assert.equal(await ff.files.sweep(-1000), 1)
    assert.equal(await uploads(), 0)
  })

  await t.test('a file that was acknowledged outlives the clone that took it', async () => {
    const clone = await startUploader({ connections, directory, files, pieces: 45, finish: true })
    const { name, stored } = clone.report
    await killUploader(clone)
    assert.equal(stored?.name, name)
    assert.equal((await ff.files.head(name))?.size, 45 * 256 * 1024)
  })
})
