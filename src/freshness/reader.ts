/**
 * Who reads. A reader is a key under which the store keeps a freshness token for each database; where the key comes
 * from (the app's `identify`, the session, a cookie of its own) is the HTTP layer's matter, behind this port.
 */

export interface ReaderSource {
  /** The reader's key, or null as long as there is no identity: such a reader has written nothing that was kept. */
  current(): Promise<string | null>
  /** The reader's key, made if there is none: called at the first write. May set a cookie. */
  ensure(): Promise<string>
}

/** A reader whose key is known from the start: a job, a script, a test. */
export function fixedReader(key: string): ReaderSource {
  return { current: () => Promise.resolve(key), ensure: () => Promise.resolve(key) }
}
