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
import type { EnqueueOptions, Jobs } from '../jobs.ts'

export interface AcceptOptions extends EnqueueOptions {
  /** Whether a request without an `Idempotency-Key` is answered with 400. Default: false. */
  readonly idempotency?: 'required'
}

export interface AcceptSettings {
  /** Where jobs are: `/jobs`. */
  readonly path: string
}

export async function acceptJob<Contract extends JobContract>(
  jobs: Jobs,
  order: { readonly job: Contract; readonly input: InputOf<Contract>; readonly options: AcceptOptions },
  { headers }: { readonly headers: HeaderFields },
  { path }: AcceptSettings,
): Promise<Response> {
  const { job, input, options } = order
  const key = keyOf(headers)
  if (key === undefined) return problem(400, 'The Idempotency-Key is no text in quotes of 1 to 200 characters')
  if (key === null && options.idempotency === 'required') return problem(400, 'An Idempotency-Key is required')
  let id: string
  if (key === null) ({ id } = await jobs.enqueue(job, input, options))
  else {
    const fingerprint = createHash('sha256')
      .update(`${job.name}\0${jsonOf(input, 'The input', 'FF_JOB_INPUT')}`)
      .digest('base64url')
    const ordered = await jobs.enqueueOnce(job, input, options, { key, fingerprint })
    if (ordered.kind === 'busy') return problem(409, 'A request with this Idempotency-Key is under way')
    if (ordered.kind === 'other') return problem(422, 'This Idempotency-Key was used for another request')
    id = ordered.id
  }
  // Not to be seen before its transaction has committed: whoever follows the address soon asks after that.
  const status = options.in === undefined ? await jobs.own(id) : null
  if (status === null) return accepted(id, job.name, path, headers)
  return await answer(jobs, status, headers, path)
}

async function answer(jobs: Jobs, seen: JobStatus, headers: HeaderFields, path: string): Promise<Response> {
  const waitMs = waitOf(headers)
  const status = waitMs === 0 || isOver(seen.record) ? seen : await waitedFor(jobs, seen, waitMs)
  const location = `${path}/${status.id}`
  const more = appliedOf(headers)
  if (isOver(status.record)) return representationAnswer(status, { headers: { 'content-location': location, ...more } })
  return representationAnswer(status, { status: 202, headers: { location, ...more } })
}

function accepted(id: string, name: string, path: string, headers: HeaderFields): Response {
  const more = { 'cache-control': 'private, no-cache', 'retry-after': '1', ...appliedOf(headers) }
  return Response.json(
    { id, name, state: 'waiting', version: 0 },
    { status: 202, headers: { location: `${path}/${id}`, ...more } },
  )
}

/** A string of RFC 9651; null: there is none; undefined: it is malformed. */
function keyOf(headers: HeaderFields): string | null | undefined {
  const field = headers['idempotency-key']
  if (field === undefined) return null
  const [, text] = /^\s*"((?:[^"\\\p{Cc}]|\\["\\]){1,200})"\s*$/u.exec(String(field)) ?? []
  return text
}
