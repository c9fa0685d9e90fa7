/** Definitions that know the app's schemas by their types. */

import { defineObject, type ObjectDefinition, type ObjectOptions } from '../cache/define-object.ts'
import { definePage, type PageDefinition, type PageOptions } from '../pages/define-page.ts'

import type { Key } from '../cache/keys.ts'

export interface Definitions<Databases> {
  /** Declares a cached object. */
  defineObject<K extends Key, Value>(options: ObjectOptions<Databases, K, Value>): ObjectDefinition<K, Value>
  /** Declares a page that is baked in advance. */
  definePage<Path extends string>(options: PageOptions<Databases, Path>): PageDefinition<Path>
}

/**
 * Binds definitions to the types of the app's schemas; holds no state and opens nothing.
 *
 * ```ts
 * export const { defineObject, definePage } = define<{ main: Schema }>()
 * ```
 */
export function define<Databases>(): Definitions<Databases> {
  return { defineObject, definePage }
}
