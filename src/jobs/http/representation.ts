/** A job as its owner sees it by HTTP. */

import { failureCode } from '../define-job.ts'
import { isOver, type JobStatus } from '../status.ts'

export interface JobRepresentation {
  readonly id: string
  readonly name: string
  readonly state: JobStatus['state']
  /** Rises with everything that can be seen of it. */
  readonly version: number
  /** 0 to 1. */
  readonly progress?: number
  readonly message?: string
  /** Of a job that is done. */
  readonly output?: unknown
  /** Of one that has failed: what its handler said by `JobFailure`. Other errors are the app's own business. */
  readonly error?: string
}

export function representationOf({
  id,
  name,
  state,
  version,
  progress,
  message,
  output,
  error,
}: JobStatus): JobRepresentation {
  return {
    ...{ id, name, state, version },
    ...(progress !== null && { progress }),
    ...(message !== null && { message }),
    ...(state === 'done' && { output }),
    ...(state === 'failed' && { error: error?.code === failureCode ? error.message : 'The job has failed' }),
  }
}

/** The answer to whoever asks how a job stands. */
export function representationAnswer(
  status: JobStatus,
  init: { status?: number; headers?: Record<string, string> } = {},
): Response {
  const headers = {
    'cache-control': 'private, no-cache',
    etag: etagOf(status),
    ...(!isOver(status.record) && { 'retry-after': '1' }),
    ...init.headers,
  }
  return Response.json(representationOf(status), { status: init.status ?? 200, headers })
}

/** Its version says everything: no two states of a job have the same. */
export function etagOf({ id, version }: JobStatus): string {
  return `"${id}-${version}"`
}
