/** An app with jobs, and workers that do them: each opened by itself, as in a process of its own. */

import { after, before } from 'node:test'
import { rm } from 'node:fs/promises'

import pg from 'pg'

import { database, defineApp } from '../../src/app/define-app.ts'
import { open } from '../../src/app/open.ts'
import { socketPathFor } from '../../src/app/socket-path.ts'
import { silentLogger } from '../../src/core/log.ts'
import { newDirectory } from './postgres.ts'

import type { Connections } from '../../src/app/connections.ts'
import type { Fourfold } from '../../src/app/fourfold.ts'
import type { StandardSchema } from '../../src/jobs/standard-schema.ts'

export interface JobsGround {
  /** Does no jobs: as a clone. */
  readonly ff: Fourfold<any>
  /** A connection that Fourfold knows nothing of. */
  readonly outside: pg.Client
  readonly connections: Connections
  /** Another process of the same app; does jobs unless told otherwise. */
  worker(options?: {
    works?: boolean
    config?: object
    jobs?: readonly unknown[]
    connections?: Connections
  }): Promise<Fourfold<any>>
}

/** @param define what the app has besides its database: jobs */
export function jobsGround(define: object, sql: string = ''): () => JobsGround {
  let ground: JobsGround | undefined
  let directory = ''
  const opened: { close(): Promise<void> }[] = []
  const databases = { main: database<any>(), other: database<any>({ replicas: 0 }) }
  before(async () => {
    directory = await newDirectory('ff-jobs-')
    const shared = { databases, dataDir: directory, store: { deadline: '10s' } }
    const ff = await open(defineApp({ ...shared, ...define }), { env: {}, log: silentLogger })
    if (sql !== '') await ff.databases['main']!.pool.query(sql)
    const address = ff.clusters['main']!.address
    const outside = new pg.Client(address as pg.ClientConfig)
    outside.on('error', () => undefined)
    await outside.connect()
    const { path } = await socketPathFor(directory, 'store')
    const connections: Connections = {
      databases: Object.fromEntries(
        Object.entries(ff.clusters).map(([name, { address: primary }]) => {
          return [name, { primary, direct: primary, replicas: [], poolSize: 4, changes: false }]
        }),
      ),
      storeUrl: `unix:${path}`,
    }
    const worker: JobsGround['worker'] = async ({
      works = true,
      config = {},
      jobs,
      connections: own = connections,
    } = {}) => {
      const sibling = defineApp({ ...shared, ...define, ...(jobs !== undefined && { jobs: jobs as [] }), ...config })
      const one = await open(sibling, { env: {}, log: silentLogger, connections: own })
      if (works) one.jobs.start()
      opened.push(one)
      return one
    }
    ground = { ff, outside, connections, worker }
  })
  after(async () => {
    await ground?.outside.end()
    for (const one of opened) await one.close()
    await ground?.ff.close()
    await rm(directory, { recursive: true, force: true })
  })
  return () => ground!
}

/** A schema that takes what a check lets pass. */
export function schemaOf<Value>(check: (value: unknown) => string | null): StandardSchema<Value> {
  const validate = (value: unknown) => {
    const issue = check(value)
    return issue === null ? { value: value as Value } : { issues: [{ message: issue }] }
  }
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

export const anything: StandardSchema<any> = schemaOf(() => null)
