/** One attempt of one job: its input is checked, its handler is run within its time, its output is checked. */

import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { failureCode, JobFailure } from '../define-job.ts'
import { jsonOf, parse } from '../payload.ts'
import { retryAfterMs, type JobPolicy } from '../policy.ts'

import type { JobDefinition } from '../define-job.ts'
import type { JobError } from '../engine.ts'
import type { Held } from './held.ts'

/** What came of it. `left`: it is nobody's business here any more. */
export type Outcome =
  | { readonly kind: 'done'; readonly output: string | null }
  | { readonly kind: 'failed'; readonly error: JobError; readonly retryMs: number | null }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'left' }

export interface RunOptions {
  readonly definition: JobDefinition
  readonly policy: JobPolicy
  readonly held: Held
  /** What is needed before its time begins to count. */
  readonly prepare: () => Promise<void>
  /** Calls the handler with everything that it is given. */
  readonly call: (input: unknown) => Promise<unknown>
  /** Ends what does not end by itself: null where nothing can. */
  readonly kill: (() => void) | null
}

/** Handlers that heed their signal have so long to come to an end. */
const endWithinMs = 1_000
const longestStack = 4_000

export async function runJob(options: RunOptions): Promise<Outcome> {
  const { held, policy } = options
  const { signal } = held.controller
  let timer: NodeJS.Timeout | undefined
  const begin = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => held.controller.abort(timeoutOf(policy)), policy.timeoutMs)
  }
  try {
    begin()
    const input = await beforeAborted(checked(options), signal, null)
    clearTimeout(timer)
    await beforeAborted(options.prepare(), signal, null)
    begin()
    return { kind: 'done', output: await beforeAborted(attempt(options, input), signal, options.kill) }
  } catch (error) {
    return outcomeOf(signal.aborted && signal.reason !== undefined ? (signal.reason as unknown) : error, options)
  } finally {
    clearTimeout(timer)
  }
}

async function checked({ definition, policy, held }: RunOptions): Promise<unknown> {
  const { input } = definition.contract
  return await parse(input, held.claim.input, `The input of ${policy.name}`, 'FF_JOB_INPUT')
}

async function attempt({ definition, policy, call }: RunOptions, input: unknown): Promise<string | null> {
  const { contract } = definition
  const output = await call(input)
  if (contract.output === undefined)
    return output === undefined ? null : jsonOf(output, `The output of ${policy.name}`, 'FF_JOB_OUTPUT')
  const text = jsonOf(output, `The output of ${policy.name}`, 'FF_JOB_OUTPUT')
  await parse(contract.output, JSON.parse(text), `The output of ${policy.name}`, 'FF_JOB_OUTPUT')
  return text
}

/** What the work answers; once the signal is aborted it has a moment to come to an end. */
async function beforeAborted<T>(work: Promise<T>, signal: AbortSignal, kill: (() => void) | null): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let abort: (() => void) | undefined
  const late = new Promise<never>((_resolve, reject) => {
    abort = () => {
      timer = setTimeout(() => {
        kill?.()
        reject(signal.reason as Error)
      }, endWithinMs)
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
  try {
    return await Promise.race([work, late])
  } finally {
    signal.removeEventListener('abort', abort!)
    clearTimeout(timer)
    // Whatever comes of it later is nobody's business.
    work.catch(() => undefined)
  }
}

function outcomeOf(error: unknown, { policy, held }: RunOptions): Outcome {
  if (isFourfoldError(error, 'FF_JOB_CANCELLED')) return { kind: 'cancelled' }
  if (isFourfoldError(error, 'FF_JOB_LOST') || isFourfoldError(error, 'FF_JOB_STOPPED')) return { kind: 'left' }
  const { attempt: number, attempts } = held.claim
  const final = number >= attempts || error instanceof JobFailure || isFinal(error)
  return { kind: 'failed', error: jobErrorOf(error, number), retryMs: final ? null : retryAfterMs(policy, number) }
}

/** What another attempt would meet again: the same input, the same code. */
function isFinal(error: unknown): boolean {
  return isFourfoldError(error, 'FF_JOB_INPUT') || isFourfoldError(error, 'FF_JOB_OUTPUT')
}

/** Of whatever was thrown: what cannot be told is no reason for the attempt not to have failed. */
export function jobErrorOf(error: unknown, attempt: number): JobError {
  const at = new Date().toISOString()
  try {
    return { attempt, at, ...tellOf(error) }
  } catch {
    return { attempt, at, message: 'What was thrown cannot be written as a text' }
  }
}

function tellOf(error: unknown): Omit<JobError, 'attempt' | 'at'> {
  if (!(error instanceof Error)) return { message: String(error).slice(0, longestStack) }
  const { stack } = error
  const code = error instanceof JobFailure ? failureCode : (error as { code?: unknown }).code
  return {
    message: String(error.message).slice(0, longestStack),
    ...(typeof code === 'string' && { code }),
    ...(typeof stack === 'string' && { stack: stack.slice(0, longestStack) }),
  }
}

function timeoutOf({ name, timeoutMs }: JobPolicy): FourfoldError {
  const message = `The attempt of ${name} took longer than its ${timeoutMs} ms`
  return new FourfoldError('FF_JOB_TIMEOUT', message, { fields: { name, timeoutMs } })
}
