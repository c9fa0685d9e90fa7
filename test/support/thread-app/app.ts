/** An app whose jobs run in threads: one computes, one eats memory, one ends its thread, one throws. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
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

/** Is tried again, and answers what cannot be written. */
export const patient = defineJob<any, any, any>({ name: 'patient', input: anything, retry: 3, thread: true })
const runPatient = patient.handle(() => {
  const circle: any = {}
  return Object.assign(circle, { circle })
})

/** Needs no thread. */
export const quick = defineJob<any, any, any>({ name: 'quick', input: anything })

class Sum {
  readonly euros: number

  constructor(euros: number) {
    this.euros = euros
  }

  toJSON(): string {
    return `${this.euros} EUR`
  }
}

const runCompute = compute.handle(async ({ input, databases, progress, signal }: any) => {
  if (input.does === 'spin') for (const until = Date.now() + input.ms; Date.now() < until;);
  if (input.does === 'for ever') for (;;);
  if (input.does === 'eat') for (const eaten: unknown[] = []; ;) eaten.push(Array.from({ length: 1_000 }, () => ({})))
  if (input.does === 'exit') process.exit(3)
  if (input.does === 'throw') throw new JobFailure('no such user')
  if (input.does === 'throw an object') throw Object.create(null)
  if (input.does === 'throw later') setTimeout(() => assert.fail('too late'), 100)
  if (input.does === 'exit later') setTimeout(() => process.exit(3), 100)
  if (input.does === 'sum') return { sum: new Sum(12) }
  if (input.does === 'answer a function') return { of: 'a function', run: () => undefined }
  if (input.does === 'tell later') setInterval(() => progress(0.9, 'of another'), 20)
  if (input.does === 'tell all') for (let at = 0; at < 1_000_000; at++) progress(at / 1_000_000, `part ${at}`)
  if (input.does === 'tell why') {
    progress(0.1, 'begun')
    await once(signal, 'abort')
    progress(0.5, signal.reason.code)
    await new Promise((resolve) => setTimeout(resolve, 600))
    throw signal.reason
  }
  if (input.does === 'wait')
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  progress(0.5, 'half')
  const { rows } = await databases.main.pool.query('select 1 as one')
  return { main: isMainThread, threadId, one: rows[0].one }
})

export default defineApp({
  databases: { main: database<any>({ replicas: 0 }) },
  jobs: [runCompute, runPatient, quick.handle(() => null)],
  server: () => createServer((_request, response) => void response.end('here')),
  queue: { recoverWithin: '2s' },
  workers: { threadMemory: '48MiB' },
})
