/**
 * A process that lets a large file through, in and out, and answers how much its memory grew: what a clone needs for an
 * upload must not depend on the upload's size.
 */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import pg from 'pg'

import { createFiles } from '../../src/files/create-files.ts'
import type { FileDriver } from '../../src/files/driver.ts'
import { createS3Driver } from '../../src/files/s3/s3-driver.ts'
import { createSqlDriver } from '../../src/files/sql/sql-driver.ts'

export interface FlowSettings {
  readonly bytes: number
  readonly sql?: pg.PoolConfig
  readonly s3?: Parameters<typeof createS3Driver>[0]
}

export interface FlowResult {
  /** The most memory beyond what a first small file took. */
  readonly grownBytes: number
  readonly putMs: number
  readonly getMs: number
  readonly same: boolean
}

const [settings] = (await once(process, 'message')) as [FlowSettings]
const pool = new pg.Pool({ ...settings.sql, max: 2 })
const driver: FileDriver =
  settings.s3 === undefined
    ? createSqlDriver({ run: (text, values) => pool.query(text, values) })
    : createS3Driver(settings.s3)
const files = createFiles({ driver, maxBytes: settings.bytes })

const some = randomBytes(64 * 1024)
async function* send(bytes: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < bytes; sent += some.length) {
    some.writeDoubleLE(Math.random(), 0)
    yield Buffer.from(some)
  }
}

async function flow(bytes: number): Promise<Omit<FlowResult, 'grownBytes'>> {
  const began = performance.now()
  const { name } = await files.put(send(bytes))
  const put = performance.now()
  const opened = await files.get(name)
  const hash = createHash('sha256')
  for await (const piece of opened?.stream ?? []) hash.update(piece as Buffer)
  return { putMs: put - began, getMs: performance.now() - put, same: hash.digest('hex') === name }
}

await flow(4 * driver.pieceBytes)
const before = process.memoryUsage.rss()
let most = before
const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10)
const result = await flow(settings.bytes)
clearInterval(watch)
await driver.close()
await pool.end()
process.send?.({ ...result, grownBytes: most - before } satisfies FlowResult)
process.disconnect()
