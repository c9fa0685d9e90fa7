/** Pages in a bucket of a real server that speaks S3 (OpenStack Swift), and of one that knows conditional writes. */

import assert from 'node:assert/strict'
import { suite, test, before, after } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'

import { ensureS3, hasS3 } from '../../scripts/s3-service.ts'
import { S3Caller } from '../../src/files/s3/caller.ts'
import { createBucketPublisher, type BucketCaller } from '../../src/pages/publish/bucket.ts'
import { endAfter } from '../support/postgres.ts'
import { nameOf, publishGround, type PublishGround } from '../support/publish-ground.ts'

import { silentLogger, type Logger } from '../../src/core/log.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Publisher } from '../../src/pages/publish/publisher.ts'
import type { Publishing } from '../../src/pages/publish/publishing.ts'

const skip = (await hasS3()) ? false : 'no S3 server on this machine'
const filler = '<p>a line of text</p>'.repeat(100)

suite('a bucket', { skip }, () => {
  const endings: (() => Promise<void>)[] = []
  const cleanup = { after: (end: () => Promise<void>) => void endings.push(end) }
  let ground: PublishGround
  let client: S3Client
  let worker: Publishing
  let publisher: (prefix: string, encoding?: 'gzip' | 'identity', bucket?: string) => Publisher

  before(async () => {
    ground = await publishGround(cleanup)
    const { endpoint, accessKeyId, secretAccessKey, stop } = await ensureS3()
    endAfter(cleanup, stop)
    const credentials = { accessKeyId, secretAccessKey }
    client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials })
    endAfter(cleanup, async () => client.destroy())
    await client.send(new CreateBucketCommand({ Bucket: 'site' }))
    publisher = (prefix, encoding, bucket = 'site') => {
      const caller = new S3Caller({ endpoint, ...credentials })
      return createBucketPublisher({ caller, bucket, endpoint, prefix, encoding })
    }
    worker = ground.worker({ publishers: [publisher('a/'), publisher('z/', 'gzip')] })
  })
  after(async () => {
    for (const end of endings) await end()
  })

  const get = async (Key: string) => {
    const found = await client.send(new GetObjectCommand({ Bucket: 'site', Key }))
    return { ...found, bytes: Buffer.from(await found.Body!.transformToByteArray()) }
  }
  const list = async (Prefix: string): Promise<string[]> =>
    ((await client.send(new ListObjectsV2Command({ Bucket: 'site', Prefix }))).Contents ?? []).map(({ Key }) => Key!)

  test('a page is an object with its type, its Cache-Control and its form', async () => {
    const headers = ['cache-control', 'public, max-age=60']
    worker.publish(nameOf('/article/caf%C3%A9'), await ground.bake(`page ${filler}`, { headers }))
    worker.publish(nameOf('/'), await ground.bake('home'))
    worker.publish(nameOf('/list?page=2'), await ground.bake('second'))
    await worker.settled()
    const plain = await get('a/article/café')
    assert.equal(plain.bytes.toString(), `page ${filler}`)
    assert.equal(plain.ContentType, 'text/html; charset=utf-8')
    assert.equal(plain.CacheControl, 'public, max-age=60')
    const packed = await get('z/article/café')
    assert.equal(packed.ContentEncoding, 'gzip')
    assert.equal(gunzipSync(packed.bytes).toString(), `page ${filler}`)
    assert.equal((await get('a/index.html')).bytes.toString(), 'home')
    assert.deepEqual(await list('a/'), ['a/article/café', 'a/index.html'])
  })

  test('it is replaced, removed, and put right where somebody has removed it', async () => {
    const name = nameOf('/changing')
    worker.publish(name, await ground.bake('one'))
    await worker.settled()
    worker.publish(name, await ground.bake('two'))
    await worker.settled()
    assert.equal((await get('a/changing')).bytes.toString(), 'two')
    ground.bakes.set(name.id, await ground.bake('three'))
    const other = publisher('a/')
    endAfter(cleanup, () => other.close())
    await other.remove(name, AbortSignal.timeout(5_000))
    await worker.repair([name])
    assert.equal((await get('a/changing')).bytes.toString(), 'three')
    await other.remove(name, AbortSignal.timeout(5_000))
    await worker.repair([name])
    assert.equal((await get('a/changing')).bytes.toString(), 'three')
    worker.publish(name, await ground.bake('gone', { status: 404 }))
    await worker.settled()
    assert.deepEqual(await list('a/changing'), [])
  })

  test('an older bake is not written over a newer one, also where the ledger has lost its memory', async () => {
    const name = nameOf('/order')
    worker.publish(name, await ground.bake('newer', { asOf: 50, bakedAtMs: Date.now() - 60_000 }))
    await worker.settled()
    const forgetful = await publishGround(cleanup)
    const late = forgetful.worker({ publishers: [publisher('a/')] })
    late.publish(name, await ground.bake('older', { asOf: 49 }))
    await late.settled()
    assert.equal((await get('a/order')).bytes.toString(), 'newer')
  })

  test('a bucket that is not there is told of once, and tried again', async () => {
    const logged: string[] = []
    const warn = ({ error }: { error: Error }): void => void logged.push(error.message)
    const log = { ...silentLogger, warn } as unknown as Logger
    const late = ground.worker({ publishers: [publisher('a/', 'identity', 'nowhere')], log, firstRetryMs: 5 })
    late.publish(nameOf('/broken'), await ground.bake('x'))
    ground.bakes.set(nameOf('/broken').id, await ground.bake('x'))
    await waitFor('several attempts', () => late.counts().failed > 2)
    assert.equal(logged.length, 1)
    assert.match(logged[0]!, /bucket nowhere: NoSuchBucket/)
  })
})

test('where a server knows conditional writes, one of two writers at once looks again', async (t) => {
  const ground = await publishGround(t)
  const { caller, objects, beforePut } = conditionalServer()
  const publisher = createBucketPublisher({ caller, bucket: 'site' })
  const pageOf = async (body: string, asOf: number) => {
    const { document } = await ground.bake(body, { asOf })
    return {
      url: '/a',
      looksAtQuery: false,
      document,
      version: { build: 'b', asOf: [['main', 'e', asOf]], bakedAtMs: 1 },
    } as const
  }
  const [older, newer] = [await pageOf('older', 1), await pageOf('newer', 2)]
  const signal = AbortSignal.timeout(5_000)
  // The newer one is written between the older one's look and its write.
  beforePut.push(() => publisher.publish(newer, signal))
  await publisher.publish(older, signal)
  assert.equal(String(objects.get('a')!.Body), 'newer')
})

/** What Amazon documents of `If-Match` and `If-None-Match` on PutObject, in memory. */
function conditionalServer() {
  const objects = new Map<string, { Body: Uint8Array; Metadata: Record<string, string>; ETag: string }>()
  const beforePut: (() => Promise<void>)[] = []
  let written = 0
  const caller: BucketCaller = {
    send: async (operation, input, _signal, absent = []) => {
      const { Key, Body, Metadata, IfMatch, IfNoneMatch } = input as Record<string, never> & { Key: string }
      const there = objects.get(Key)
      if (operation === 'HeadObject') return there ?? null
      if (operation === 'DeleteObject') return objects.delete(Key) ? {} : {}
      await beforePut.shift()?.()
      const now = objects.get(Key)
      const holds = IfNoneMatch === undefined ? now?.ETag === IfMatch : now === undefined
      if (!holds && absent.includes('PreconditionFailed')) return null
      objects.set(Key, { Body: Body!, Metadata: Metadata!, ETag: `"${(written += 1)}"` })
      return {}
    },
    close: async () => undefined,
  }
  return { caller, objects, beforePut }
}
