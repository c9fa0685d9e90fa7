/** An app whose jobs run in threads: one computes, one eats memory, one ends its thread, one throws. */

import { createServer } from 'node:http'
import { isMainThread, threadId } from 'node:worker_threads'

import { database, defineApp } from '../../../src/app/define-app.ts'
import { defineJob, JobFailure } from '../../../src/jobs/define-job.ts'

const anything = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const

export const compute = defineJob<any, any, any>({
  name: 'compute',
  input: anything,
  retry: 0,
  timeout: '2s',
  thread: true,
})

const runCompute = compute.handle(async ({ input, databases, progress, signal }: any) => {
  if (input.does === 'spin') for (const until = Date.now() + input.ms; Date.now() < until;);
  if (input.does === 'for ever') for (;;);
  if (input.does === 'eat') for (const eaten: unknown[] = []; ;) eaten.push(Array.from({ length: 1_000 }, () => ({})))
  if (input.does === 'exit') process.exit(3)
  if (input.does === 'throw') throw new JobFailure('no such user')
  if (input.does === 'wait')
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  progress(0.5, 'half')
  const { rows } = await databases.main.pool.query('select 1 as one')
  return { main: isMainThread, threadId, one: rows[0].one }
})

export default defineApp({
  databases: { main: database<any>({ replicas: 0 }) },
  jobs: [runCompute],
  server: () => createServer((_request, response) => void response.end('here')),
  queue: { recoverWithin: '2s' },
  workers: { threadMemory: '48MiB' },
})
