/**
 * A thread that does jobs which compute: it opens the app for itself, so that nothing else of its process waits for what
 * runs here. One job at a time. It is ended, whatever it does, when a job's time is over or the worker stops.
 */

import { parentPort, workerData } from 'node:worker_threads'

import { loadApp } from '../load-app.ts'
import { open } from '../open.ts'
import { resolveFromOrigin } from '../../clones/build/snapshot-modules.ts'
import { FourfoldError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { jsonOf } from '../../jobs/payload.ts'
import { jobErrorOf } from '../../jobs/worker/run-job.ts'

import type { FromThread, ThreadSettings, ToThread } from '../job-threads.ts'
import type { JobContext } from '../../jobs/define-job.ts'

const progressEveryMs = 100

const { appFile, build, buildId, connections, config, logLevel, name } = workerData as ThreadSettings
const log = createLogger({ level: logLevel, name })
const port = parentPort!
const say = (message: FromThread): void => port.postMessage(message)

if (build !== undefined) resolveFromOrigin(build)
const app = await loadApp(appFile)
const ff = await open(app, { connections, config, log, ...(buildId !== undefined && { build: buildId }) })
let running: AbortController | null = null

port.on('message', (message: ToThread) => {
  if (message.type === 'abort') running?.abort(new FourfoldError(message.code, message.message))
  else if (message.type === 'run') void run(message)
  else void ff.close().then(() => port.close())
})
say({ type: 'ready' })

async function run({ job, context }: ToThread & { type: 'run' }): Promise<void> {
  running = new AbortController()
  const progress = createProgress()
  try {
    const output = await ff.jobs.perform(job, {
      ...context,
      signal: running.signal,
      progress: progress.tell,
      log: log.child({ job, id: context.id }),
    })
    // As it would be written without a thread: what crosses as it is loses its methods, toJSON among them.
    const text = output === undefined ? null : jsonOf(output, `The output of ${job}`, 'FF_JOB_OUTPUT')
    progress.end()
    say({ type: 'done', output: text })
  } catch (error) {
    progress.end()
    say({ type: 'failed', error: plain(error) })
  } finally {
    running = null
  }
}

/**
 * How far one job is: the newest, ten times a second at most. A message for each that a loop tells would keep the worker from
 * its heartbeats; and what is told behind the job's end would be told of the next one.
 */
function createProgress(): { tell: JobContext<unknown>['progress']; end: () => void } {
  let newest: (FromThread & { type: 'progress' }) | null = null
  let timer: NodeJS.Timeout | undefined
  let saidAtMs = -Infinity
  let ended = false
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    saidAtMs = performance.now()
    say(newest!)
  }
  return {
    tell: (fraction, message) => {
      if (ended) return
      // What does not travel as it is would be an error here, and is a text without a thread.
      newest = {
        type: 'progress',
        fraction: Number(fraction),
        message: message === undefined ? undefined : String(message),
      }
      const restMs = saidAtMs + progressEveryMs - performance.now()
      // A loop lets no timer come.
      if (restMs <= 0) flush()
      else timer ??= setTimeout(flush, restMs)
    },
    end: () => {
      // What is said last is kept.
      if (timer !== undefined) flush()
      ended = true
    },
  }
}

/** Errors lose their own fields on the way. */
function plain(error: unknown): (FromThread & { type: 'failed' })['error'] {
  const { message, stack, code } = jobErrorOf(error, 1)
  return { name: kindOf(error), message, ...(stack !== undefined && { stack }), ...(code !== undefined && { code }) }
}

function kindOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.name) : 'Error'
  } catch {
    return 'Error'
  }
}
