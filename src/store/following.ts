/** Reads of a stream that wait for an entry, over servers that can only be asked: by asking again. */

import type { StreamPage } from './store.ts'

/**
 * Reads until the page tells anything new or the time is over, and answers the last page.
 *
 * @param pause resolves when it may be worth asking again, after `leftMs` at the latest. `turn` counts from 0.
 */
export async function readWhenNew(
  read: () => Promise<StreamPage>,
  after: number,
  waitMs: number,
  pause: (leftMs: number, turn: number) => Promise<void>,
): Promise<StreamPage> {
  const until = performance.now() + waitMs
  for (let turn = 0; ; turn += 1) {
    const page = await read()
    const leftMs = until - performance.now()
    if (leftMs <= 0 || page.gap || page.last > after) return page
    await pause(leftMs, turn)
  }
}
