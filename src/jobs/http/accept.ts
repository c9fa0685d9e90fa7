/**
 * The answer to a request that orders a job: 202 and where the job is, or its end, where the client would rather wait. With an
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) the same order sent twice is one job.
 */

import { createHash } from 'node:crypto'

import { isOver, type JobStatus } from '../status.ts'
import { jsonOf } from '../payload.ts'
import { appliedOf, waitOf, type HeaderFields } from './prefer.ts'
import { representationAnswer } from './representation.ts'
import { problem, waitedFor } from './resource.ts'

import type { InputOf, JobContract } from '../define-job.ts'
import type { Ordered } from '../engine.ts'
import type { EnqueueOptions, Jobs } from '../jobs.ts'

export interface AcceptOptions extends EnqueueOptions {
  /** Whether a request without an `Idempotency-Key` is answered with 400. Default: false. */
  readonly idempotency?: 'required'
}

export interface AcceptSettings {
  /** Where jobs are: `/jobs`. */
  readonly path: string
  /** This process ends: nobody is kept waiting. */
  readonly ending: AbortSignal
}

export async function acceptJob<Contract extends JobContract>(
  jobs: Jobs,
  order: { readonly job: Contract; readonly input: InputOf<Contract>; readonly options: AcceptOptions },
  { headers }: { readonly headers: HeaderFields },
  settings: AcceptSettings,
): Promise<Response> {
  const { job, input, options } = order
  const key = keyOf(headers)
  if (key === undefined) return problem(400, 'The Idempotency-Key is no text in quotes of 1 to 200 characters')
  if (key === null && options.idempotency === 'required') return problem(400, 'An Idempotency-Key is required')
  let ordered: Ordered
  if (key === null) ordered = await jobs.enqueue(job, input, options)
  else {
    const fingerprint = createHash('sha256')
      .update(`${job.name}\0${jsonOf(input, 'The input', 'FF_JOB_INPUT')}`)
      .digest('base64url')
    const begun = await jobs.enqueueOnce(job, input, options, { key, fingerprint })
    if (begun.kind === 'busy') return problem(409, 'A request with this Idempotency-Key is under way')
    if (begun.kind === 'other') return problem(422, 'This Idempotency-Key was used for another request')
    ordered = { id: begun.id, isNew: false }
  }
  const { id } = ordered
  const status = isKnown(ordered, options, headers) ? null : await jobs.own(id)
  if (status !== null) return await answer(jobs, status, headers, settings)
  const refusal = ordered.isNew || options.in !== undefined ? null : await refusalOf(jobs, id)
  if (refusal !== null) return refusal
  return accepted({ id, name: job.name, state: isDelayed(options) ? 'scheduled' : 'waiting' }, settings.path, headers)
}

/** Of an order that met a job which this reader may not see; null: it is nobody's. */
async function refusalOf(jobs: Jobs, id: string): Promise<Response | null> {
  const found = await jobs.find(id)
  if (found === null) return problem(410, 'The job is finished, and not kept any more')
  return found.owner === null ? null : problem(409, 'Somebody else has ordered a job like it, which is not finished')
}

/** Whether the order says how the job stands, or nobody can: before its transaction has committed it is not to be seen. */
function isKnown({ isNew }: Ordered, options: AcceptOptions, headers: HeaderFields): boolean {
  if (options.in !== undefined) return true
  return isNew && !isDelayed(options) && waitOf(headers) === 0
}

function isDelayed({ delay, runAt }: AcceptOptions): boolean {
  return delay !== undefined || runAt !== undefined
}

async function answer(
  jobs: Jobs,
  seen: JobStatus,
  headers: HeaderFields,
  { path, ending }: AcceptSettings,
): Promise<Response> {
  const waitMs = waitOf(headers)
  const status = waitMs === 0 || isOver(seen.record) ? seen : await waitedFor(jobs, seen, { waitMs, ending })
  const location = `${path}/${status.id}`
  const more = appliedOf(headers)
  if (isOver(status.record)) return representationAnswer(status, { headers: { 'content-location': location, ...more } })
  return representationAnswer(status, { status: 202, headers: { location, ...more } })
}

function accepted(
  ordered: { readonly id: string; readonly name: string; readonly state: 'scheduled' | 'waiting' },
  path: string,
  headers: HeaderFields,
): Response {
  // Nothing was waited for.
  const more = waitOf(headers) > 0 ? {} : appliedOf(headers)
  const always = { 'cache-control': 'private, no-cache', 'retry-after': '1' }
  return Response.json(
    { ...ordered, version: 0 },
    { status: 202, headers: { location: `${path}/${ordered.id}`, ...always, ...more } },
  )
}

/** A string of RFC 9651; null: there is none; undefined: it is malformed. */
function keyOf(headers: HeaderFields): string | null | undefined {
  const field = headers['idempotency-key']
  if (field === undefined) return null
  const [, text] = /^\s*"((?:[^"\\\p{Cc}]|\\["\\]){1,200})"\s*$/u.exec(String(field)) ?? []
  return text
}
