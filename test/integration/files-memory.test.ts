/** What a process needs while a large file goes through it. */

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { PoolConfig } from 'pg'
import { ensureS3, hasS3 } from '../../scripts/s3-service.ts'
import type { FlowResult, FlowSettings } from '../support/file-flow.ts'
import { startTestCluster } from '../support/postgres.ts'

const mib = 1024 ** 2
/** `FILE_FLOW_MIB=200` for the long one. */
const bytes = Number(process.env['FILE_FLOW_MIB'] ?? 100) * mib
/** Node lets 64 MiB of buffers become garbage before it looks; whoever holds the file holds more than that. */
const mostGrown = 95 * mib
const skip = (await hasS3()) ? false : 'no S3 server on this machine'

test('a large file goes through the database in little memory', { timeout: 180_000 }, async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const result = await flow({ bytes, sql: cluster.primary as PoolConfig })
  report('sql', result)
  assert.equal(result.same, true)
  assert.ok(result.grownBytes < mostGrown, `grew by ${Math.round(result.grownBytes / mib)} MiB`)
})

test('a large file goes through S3 in the memory of a few of its parts', { timeout: 180_000, skip }, async (t) => {
  const { endpoint, accessKeyId, secretAccessKey, stop } = await ensureS3()
  t.after(stop)
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials })
  await client.send(new CreateBucketCommand({ Bucket: 'flow' }))
  client.destroy()
  const result = await flow({ bytes, s3: { bucket: 'flow', endpoint, accessKeyId, secretAccessKey } })
  report('s3', result)
  assert.equal(result.same, true)
  assert.ok(result.grownBytes < mostGrown, `grew by ${Math.round(result.grownBytes / mib)} MiB`)
})

async function flow(settings: FlowSettings): Promise<FlowResult> {
  const child = fork(new URL('../support/file-flow.ts', import.meta.url), { execArgv: ['-C', 'fourfold:source'] })
  child.send(settings)
  const results: FlowResult[] = []
  child.once('message', (result) => results.push(result as FlowResult))
  await once(child, 'exit')
  return results[0] ?? assert.fail('the process ended without a result')
}

function report(name: string, { grownBytes, putMs, getMs }: FlowResult): void {
  const speed = (ms: number): number => Math.round(bytes / mib / (ms / 1000))
  console.log(
    `${name}: ${bytes / mib} MiB, grew by ${Math.round(grownBytes / mib)} MiB, in ${speed(putMs)} MiB/s, out ${speed(getMs)} MiB/s`,
  )
}
