/**
 * The primary's position for readers who must see all that was committed before they asked (FRESHNESS rule 23): a
 * query that is under way may be too old for who comes now, so it is shared only by those who came before it began.
 */

import type { WritePosition } from '../engines/position.ts'

export class ReadIndex {
  readonly #read: () => Promise<WritePosition>
  readonly #saw: (position: WritePosition) => void
  /** The position query that runs, and the one that comes after it. */
  #index: Promise<WritePosition> | null = null
  #nextIndex: Promise<WritePosition> | null = null

  /** @param saw told of each position before those who wait for it */
  constructor(read: () => Promise<WritePosition>, saw: (position: WritePosition) => void) {
    this.#read = read
    this.#saw = saw
  }

  /** A position query that begins after the call; all who call before it begins share it. */
  readIndex(): Promise<WritePosition> {
    this.#nextIndex ??= (this.#index ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        const index = this.#read()
        this.#index = index
        this.#nextIndex = null
        const done = (): void => {
          if (this.#index === index) this.#index = null
        }
        index.then((position) => {
          this.#saw(position)
          done()
        }, done)
        return index
      })
    return this.#nextIndex
  }
}
