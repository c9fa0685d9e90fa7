/**
 * A place where baked pages are put for others to serve: a directory, a bucket.
 *
 * - `publish` replaces the page in one step: whoever reads there gets the former bake or this one, whole. A page that
 *   is no plain answer (another status than 200), or has no name there, is removed instead.
 * - Both may be repeated, and are safe to give up in the middle: what is half done is not to be seen.
 * - Nothing here decides which bake is newer; see `publishing.ts`.
 */

import type { PageDocument } from '../document.ts'
import type { PageVersion } from './version.ts'

/** Where a page is, without what it says. */
export interface PageAddress {
  /** Canonical: the path, then the query that counts. */
  readonly url: string
  /** Whether the query makes other pages here. */
  readonly looksAtQuery: boolean
}

export interface PublishedPage extends PageAddress {
  readonly document: PageDocument
  readonly version: PageVersion
}

export interface Publisher {
  /** Names this place among all that there may be, across restarts. */
  readonly id: string
  publish(page: PublishedPage, signal: AbortSignal): Promise<void>
  remove(address: PageAddress, signal: AbortSignal): Promise<void>
  /** Whether the page lies there as it was published, as far as a quick look can tell. */
  holds(page: PublishedPage, signal: AbortSignal): Promise<boolean>
  /** Takes away what an earlier process has left half done. */
  sweep?(signal: AbortSignal): Promise<number>
  close(): Promise<void>
}

/** Whether others may serve it as it is: anything but a plain answer is left to the app. */
export function isServable({ status }: PageDocument): boolean {
  return status === 200
}

export function headerOf({ headers }: PageDocument, name: string): string | null {
  const at = headers.findIndex((text, place) => place % 2 === 0 && text === name)
  return at < 0 ? null : headers[at + 1]!
}
