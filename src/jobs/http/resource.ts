/**
 * The resource of a job: `GET` how it stands, `GET …/events` to be told, `DELETE` to cancel it. Its owner alone may ask; to
 * everybody else there is no such job.
 */

import { isFourfoldError } from '../../core/errors.ts'
import { isOver, type JobStatus } from '../status.ts'
import { eventStream } from './events.ts'
import { appliedOf, waitOf, type HeaderFields } from './prefer.ts'
import { etagOf, representationAnswer } from './representation.ts'

import type { Jobs } from '../jobs.ts'

export interface ResourceRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: HeaderFields
}

interface Target {
  readonly id: string
  readonly events: boolean
}

/** Which job an address is of; null: of none. */
export function targetOf(url: string | undefined, path: string): Target | null {
  const [pathname = ''] = (url ?? '').split('?')
  if (!pathname.startsWith(`${path}/`)) return null
  const [, id, events] = /^([1-9]\d{0,17})(\/events)?$/.exec(pathname.slice(path.length + 1)) ?? []
  return id === undefined ? null : { id, events: events !== undefined }
}

/** @throws what the database throws */
export async function answerJob(
  jobs: Jobs,
  target: Target,
  { method, headers }: ResourceRequest,
  ending: AbortSignal,
): Promise<Response> {
  const isRead = method === 'GET' || method === 'HEAD'
  const allowed = target.events ? 'GET, HEAD' : 'GET, HEAD, DELETE'
  if (!isRead && (target.events || method !== 'DELETE')) return problem(405, 'Method not allowed', { allow: allowed })
  const status = await jobs.own(target.id)
  if (status === null) return problem(404, 'There is no such job')
  if (method === 'DELETE') return await cancel(jobs, target.id)
  return target.events
    ? answerEvents(jobs, status, { method, headers }, ending)
    : await answerState(jobs, status, headers, ending)
}

async function answerState(jobs: Jobs, seen: JobStatus, headers: HeaderFields, ending: AbortSignal): Promise<Response> {
  const waitMs = isOver(seen.record) ? 0 : waitOf(headers)
  const status = waitMs === 0 ? seen : await waitedFor(jobs, seen, { waitMs, ending })
  const known = String(headers['if-none-match'] ?? '')
  const etag = etagOf(status)
  if (known.split(',').some((one) => one.trim().replace(/^W\//, '') === etag || one.trim() === '*')) {
    return new Response(null, { status: 304, headers: { etag, 'cache-control': 'private, no-cache' } })
  }
  return representationAnswer(status, { headers: appliedOf(headers) })
}

function answerEvents(
  jobs: Jobs,
  status: JobStatus,
  { method, headers }: ResourceRequest,
  ending: AbortSignal,
): Response {
  const last = /^\d{1,15}$/.exec(String(headers['last-event-id'] ?? ''))
  // What is newer than the job is of a time before the database was put back, or of no job: nothing was seen of this one.
  const after = last !== null && Number(last[0]) <= status.version ? Number(last[0]) : -1
  // 204 ends it: the browser does not come back.
  if (isOver(status.record) && after === status.version) return new Response(null, { status: 204 })
  // Not every framework ends the body of an answer to HEAD.
  const body = method === 'HEAD' ? null : eventStream(jobs, { id: status.id, after, ending })
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'private, no-store',
      // A server that ends waits for connections that were in use when it began to, and for as long as they are kept.
      connection: 'close',
      // For proxies that would gather it.
      'x-accel-buffering': 'no',
    },
  })
}

async function cancel(jobs: Jobs, id: string): Promise<Response> {
  if (await jobs.cancel(id)) return new Response(null, { status: 202 })
  return problem(409, 'The job is finished already')
}

/** How it stands when it is finished, when the time is over, or when this process ends: then it is asked for at another. */
export async function waitedFor(
  jobs: Jobs,
  seen: JobStatus,
  { waitMs, ending }: { readonly waitMs: number; readonly ending: AbortSignal },
): Promise<JobStatus> {
  try {
    return (await jobs.wait(seen.id, { timeout: waitMs, signal: ending })) ?? seen
  } catch (error) {
    if (ending.aborted) return seen
    if (!isFourfoldError(error, 'FF_CORE_DEADLINE')) throw error
    return (await jobs.find(seen.id)) ?? seen
  }
}

/** RFC 9457. */
export function problem(status: number, title: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ title, status })
  return new Response(body, {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  })
}
