/**
 * What processes tell each other of the entries that are loaded ahead of demand: whoever has put one into the shared tier
 * says so in a stream of the store, with what it depends on. Workers learn of entries that they have to watch, balancers
 * of pages that they can fetch.
 *
 * A hint and no more: who misses one finds the entry when it is asked for, and checks it like any other.
 */

import { Packr } from 'msgpackr'

import { followTold, type ToldStream } from '../store/told-stream.ts'

import type { Key } from '../cache/keys.ts'
import type { KeptEntry } from '../cache/source.ts'
import type { EntryPart } from '../freshness/changes/recorder.ts'
import type { Store } from '../store/store.ts'
import type { PageDocument } from './document.ts'

/** An entry that was put into the shared tier. */
export interface Announcement {
  /** Of the entry, in every tier. */
  readonly id: string
  /** The page's path, or the object's name. */
  readonly source: string
  readonly key: Key
  readonly parts: readonly EntryPart[]
  /** Wall clock, ms; Infinity where nothing but a change ends it. */
  readonly expiresAtMs: number
  /** How long the load took, in ms. */
  readonly loadMs: number
  /** Whether it is of something that is there: a page that was not found is not baked ahead. */
  readonly found: boolean
}

const packr = new Packr({ useRecords: false, mapsAsObjects: true, largeBigIntToFloat: false })
const kept = { maxEntries: 20_000, ttlMs: 24 * 3_600_000 }

/** @param build names the app's code: processes of different builds have nothing to tell each other */
export async function announce(store: Store, build: string, announcement: Announcement): Promise<void> {
  const { id, source, key, parts, expiresAtMs, loadMs, found } = announcement
  await store.appendToStream(streamOf(build), packr.pack([id, source, key, parts, expiresAtMs, loadMs, found]), kept)
}

/** What is told of an entry: of a page that was not found, that it is not there. */
export function announcementOf({ source, key, id, entry }: KeptEntry): Announcement {
  const { parts, expiresAtMs, loadMs, value } = entry
  // An object may have a field of this name as well.
  const found = value !== null && !('route' in source && (value as PageDocument).status >= 400)
  return { id, source: source.name, key: key as Key, parts, expiresAtMs, loadMs, found }
}

export type FollowOptions = Omit<ToldStream<Announcement>, 'stream' | 'decode'> & { readonly build: string }

/** Follows what is told from now on, what was told before is in the catalogue; answers what stops it. */
export function followAnnouncements({ build, ...options }: FollowOptions): () => Promise<void> {
  return followTold({ ...options, stream: streamOf(build), decode })
}

function streamOf(build: string): string {
  return `pages:told:${build}`
}

/** Null for what another version wrote. */
function decode(bytes: Uint8Array): Announcement | null {
  try {
    const [id, source, key, parts, expiresAtMs, loadMs, found] = packr.unpack(bytes as Buffer) as never[]
    return { id, source, key, parts, expiresAtMs, loadMs, found } as unknown as Announcement
  } catch {
    return null
  }
}
