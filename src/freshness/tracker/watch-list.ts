/**
 * What the other processes ask the tracker to watch: a record in the store with a field for each table and each template.
 * Fields are only ever added; asking for what is there already does no harm.
 */

import type { Store, StoreFields } from '../../store/store.ts'
import type { TemplateId } from '../changes/hash.ts'

/** Long: whoever asks again makes it anew, and a tracker remembers what it was asked for. */
export const watchTtlMs: number = 30 * 86_400_000

export function watchKey(database: string): string {
  return `watch:${database}`
}

export function tableField(table: number): string {
  return `t:${table}`
}

export function templateField(template: TemplateId): string {
  return `k:${template}`
}

export interface WatchList {
  readonly tables: readonly number[]
  readonly templates: readonly TemplateId[]
}

/** Asks for tables and templates. Resolves when the store has it; the tracker looks several times a second. */
export async function askToWatch(
  store: Pick<Store, 'create' | 'update'>,
  database: string,
  { tables, templates }: WatchList,
): Promise<void> {
  const none = new Uint8Array()
  const names = [...tables.map(tableField), ...templates.map(templateField)]
  const set = Object.fromEntries(names.map((name) => [name, none]))
  const key = watchKey(database)
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if ((await store.update(key, { set, ttlMs: watchTtlMs })) === 'updated') return
    if (await store.create(key, set, { ttlMs: watchTtlMs })) return
  }
}

export async function readWatchList(store: Pick<Store, 'read'>, database: string): Promise<WatchList> {
  return parseWatchList((await store.read(watchKey(database))) ?? {})
}

function parseWatchList(fields: StoreFields): WatchList {
  const names = Object.keys(fields)
  const tables = names.filter((name) => name.startsWith('t:')).map((name) => Number(name.slice(2)))
  return {
    tables: tables.filter((table) => Number.isSafeInteger(table) && table > 0),
    templates: names.filter((name) => name.startsWith('k:')).map((name) => name.slice(2)),
  }
}
