/**
 * Which entries there are that are loaded ahead of demand, and what each depends on: records of the store, written by
 * whoever has put an entry into the shared tier, read by the worker that begins to look after them.
 *
 * An entry belongs to one of a fixed number of buckets, by its id; a bucket is one record with a field for each entry.
 * What stands here may be old or missing, never wrong in a way that matters: a worker checks each entry like anybody, and
 * whoever asks for one that is missing here renders it, as without any baking.
 */

import { Packr } from 'msgpackr'

import type { Store } from '../store/store.ts'
import type { Announcement } from './announcements.ts'

/** What is known of an entry that is there. */
export type CatalogueEntry = Omit<Announcement, 'found'>

/** Enough that each of many workers gets as much as the others, few enough to be read within seconds. */
export const bucketCount = 1024
/** Renewed by every change, and by the worker that looks after it. */
const ttlMs = 3 * 24 * 3_600_000

const packr = new Packr({ useRecords: false, mapsAsObjects: true, largeBigIntToFloat: false })

/** FNV-1a. The same in every process. */
export function bucketOf(id: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193)
  return ((hash >>> 10) ^ hash) & (bucketCount - 1)
}

/** Writes an entry down, or takes one away that is not there: a page that was not found. */
export async function writeCatalogue(store: Store, build: string, told: Announcement): Promise<void> {
  const key = keyOf(build, bucketOf(told.id))
  if (!told.found) return void (await store.update(key, { remove: [told.id], ttlMs }))
  const set = { [told.id]: encode(told) }
  if ((await store.update(key, { set, ttlMs })) === 'updated') return
  // Somebody else may make it at this moment.
  if (!(await store.create(key, set, { ttlMs }))) await store.update(key, { set, ttlMs })
}

/** Writes an entry down of which nothing is known but that somebody has it: whoever looks after it bakes it in the end. */
export async function catalogueWanted(
  store: Store,
  build: string,
  { id, source, key }: Pick<CatalogueEntry, 'id' | 'source' | 'key'>,
): Promise<void> {
  const record = keyOf(build, bucketOf(id))
  const set = { [id]: encode({ id, source, key, parts: [], expiresAtMs: 0, loadMs: 0 }) }
  // What was baked meanwhile says more.
  if ((await store.update(record, { set, expect: { [id]: null }, ttlMs })) !== 'missing') return
  if (!(await store.create(record, set, { ttlMs }))) await store.update(record, { set, expect: { [id]: null }, ttlMs })
}

/** Whether it stands there for being wanted, and was never baked. */
export function isWanted({ parts, expiresAtMs }: Pick<CatalogueEntry, 'parts' | 'expiresAtMs'>): boolean {
  return parts.length === 0 && expiresAtMs === 0
}

/** The entries of a bucket; those that another version wrote are left out. */
export async function readCatalogue(store: Store, build: string, bucket: number): Promise<CatalogueEntry[]> {
  const fields = await store.read(keyOf(build, bucket))
  return fields === null ? [] : Object.entries(fields).flatMap(([id, bytes]) => decode(id, bytes) ?? [])
}

/** Takes entries away that nobody asks for any more. */
export async function dropFromCatalogue(store: Store, build: string, ids: readonly string[]): Promise<void> {
  const buckets = Map.groupBy(ids, bucketOf)
  await Promise.all([...buckets].map(([bucket, remove]) => store.update(keyOf(build, bucket), { remove })))
}

/** Keeps a bucket in which nothing changes. */
export async function renewCatalogue(store: Store, build: string, bucket: number): Promise<void> {
  await store.update(keyOf(build, bucket), { ttlMs })
}

function keyOf(build: string, bucket: number): string {
  return `pages:catalogue:${build}:${bucket}`
}

function encode({ source, key, parts, expiresAtMs, loadMs }: CatalogueEntry): Uint8Array {
  return packr.pack([source, key, parts, expiresAtMs, loadMs])
}

function decode(id: string, bytes: Uint8Array): CatalogueEntry | null {
  try {
    const [source, key, parts, expiresAtMs, loadMs] = packr.unpack(bytes as Buffer) as never[]
    return { id, source, key, parts, expiresAtMs, loadMs } as unknown as CatalogueEntry
  } catch {
    return null
  }
}
