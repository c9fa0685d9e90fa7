/** Reads of a stream that wait for an entry, over servers that can only be asked, or that tell of it on the side. */

import type { StreamPage } from './store.ts'

/**
 * Reads until the page tells anything new or the time is over, and answers the last page.
 *
 * @param pause resolves when it may be worth asking again, after `leftMs` at the latest, or with the page itself where
 *   it came to know it. `turn` counts from 0.
 * @param waitFirst there was nothing behind `after` a moment ago: asking at once would most likely find nothing
 */
export async function readWhenNew(
  read: () => Promise<StreamPage>,
  after: number,
  waitMs: number,
  pause: (leftMs: number, turn: number) => Promise<StreamPage | null | void>,
  waitFirst = false,
): Promise<StreamPage> {
  const until = performance.now() + waitMs
  for (let turn = 0; ; turn += 1) {
    const page = waitFirst && turn === 0 ? null : await read()
    const leftMs = until - performance.now()
    if (page !== null && (leftMs <= 0 || page.gap || page.last > after)) return page
    const told = await pause(leftMs, turn)
    if (told) return told
  }
}
