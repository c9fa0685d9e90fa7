/** How a job stands, as it is told. */

import type { JobRecord } from './engine.ts'

/** How a job stands, for whoever may see it. */
export interface JobStatus<Output = unknown> {
  readonly id: string
  readonly name: string
  readonly state: JobRecord['state']
  /** Rises with everything that can be seen of it. */
  readonly version: number
  readonly owner: string | null
  /** 0 to 1; null: nothing was said. */
  readonly progress: number | null
  readonly message: string | null
  /** Of a job that is done. */
  readonly output: Output | null
  /** Of the last attempt that failed. */
  readonly error: { readonly message: string; readonly code?: string } | null
  readonly record: JobRecord
}

export function isOver({ state }: Pick<JobRecord, 'state'>): boolean {
  return state === 'done' || state === 'cancelled' || state === 'failed'
}

export function statusOf(record: JobRecord): JobStatus {
  const { id, name, state, version, owner, progress, message, output, errors } = record
  const last = errors.at(-1)
  const error =
    last === undefined || state === 'done' ? null : { message: last.message, ...(last.code && { code: last.code }) }
  return { id, name, state, version, owner, progress, message, output: output ?? null, error, record }
}
