/**
 * What processes tell each other of the entries that are loaded ahead of demand: whoever has put one into the shared tier
 * says so in a stream of the store, with what it depends on. Workers learn of entries that they have to watch, balancers
 * of pages that they can fetch.
 *
 * A hint and no more: who misses one finds the entry when it is asked for, and checks it like any other.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { Packr } from 'msgpackr'

import type { Key } from '../cache/keys.ts'
import type { KeptEntry } from '../cache/source.ts'
import type { Logger } from '../core/log.ts'
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
const waitMs = 5_000
const retryMs = 200

/** @param build names the app's code: processes of different builds have nothing to tell each other */
export async function announce(store: Store, build: string, announcement: Announcement): Promise<void> {
  const { id, source, key, parts, expiresAtMs, loadMs, found } = announcement
  await store.appendToStream(streamOf(build), packr.pack([id, source, key, parts, expiresAtMs, loadMs, found]), kept)
}

/** What is told of an entry: of a page that was not found, that it is not there. */
export function announcementOf({ source, key, id, entry }: KeptEntry): Announcement {
  const { parts, expiresAtMs, loadMs, value } = entry
  const found = value !== null && !((value as Partial<PageDocument>).status! >= 400)
  return { id, source: source.name, key: key as Key, parts, expiresAtMs, loadMs, found }
}

export interface FollowOptions {
  readonly store: Store
  readonly build: string
  readonly log: Logger
  /** Called with what was told, in order. */
  readonly hear: (announcements: readonly Announcement[]) => void
  /** Some were missed. */
  readonly missed: () => void
}

/** Follows what is told from now on; answers what stops it. */
export function followAnnouncements({ store, build, log, hear, missed }: FollowOptions): () => Promise<void> {
  const end = new AbortController()
  const follow = async (): Promise<void> => {
    let after: number | null = null
    while (!end.signal.aborted) {
      try {
        // 0 would ask for the oldest that is kept: what was told before is in the catalogue.
        after ??= (await store.readStream(streamOf(build), 0, { limit: 0 })).last
        const page = await store.readStream(streamOf(build), after, { limit: 500, waitMs })
        if (end.signal.aborted) return
        if (page.gap || page.last < after) missed()
        if (page.entries.length > 0) hear(page.entries.flatMap(({ value }) => decode(value) ?? []))
        after = page.entries.at(-1)?.number ?? Math.min(after, page.last)
      } catch (error) {
        if (end.signal.aborted) return
        log.debug({ error }, 'announcements of pages not read: trying again')
        await pause(retryMs)
      }
    }
  }
  const running = follow()
  return async () => {
    end.abort()
    // A read that waits ends with the store's client, or after its time.
    await Promise.race([running, pause(retryMs)])
  }
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
