/** Definitions that know the app's schemas by their types. */

import { defineObject, type ObjectDefinition, type ObjectOptions } from '../cache/define-object.ts'
import { definePage, type PageDefinition, type PageOptions } from '../pages/define-page.ts'

import { defineJob, type JobContract, type JobOptions } from '../jobs/define-job.ts'

import type { Fourfold, Schemas } from './fourfold.ts'
import type { Key } from '../cache/keys.ts'

/** What a handler has of the app: as the reader who ordered the job. */
export type JobTools<Databases> = Pick<
  Fourfold<Databases extends Schemas ? Databases : Schemas>,
  'databases' | 'cache' | 'join' | 'files' | 'jobs'
>

export interface Definitions<Databases> {
  /** Declares a cached object. */
  defineObject<K extends Key, Value>(options: ObjectOptions<Databases, K, Value>): ObjectDefinition<K, Value>
  /** Declares a page that is baked in advance. */
  definePage<Path extends string>(options: PageOptions<Databases, Path>): PageDefinition<Path>
  /** Declares a job: its contract. `.handle` says how it is done. */
  defineJob<Input, Parsed = Input, Output = null>(
    options: JobOptions<Input, Parsed, Output>,
  ): JobContract<Input, Parsed, Output, JobTools<Databases>>
}

/**
 * Binds definitions to the types of the app's schemas; holds no state and opens nothing.
 *
 * ```ts
 * export const { defineObject, definePage, defineJob } = define<{ main: Schema }>()
 * ```
 */
export function define<Databases>(): Definitions<Databases> {
  return { defineObject, definePage, defineJob }
}
