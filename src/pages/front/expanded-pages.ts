/**
 * Bodies that were expanded for readers who take nothing compressed, few as they are: beside the pages' own memory, so
 * their bytes have a bound of their own, past which all of them are let go of.
 */

import type { AnsweredPage } from '../answer.ts'

export class ExpandedPages {
  readonly #maxBytes: number
  readonly #pages: AnsweredPage[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  readonly add = (page: AnsweredPage): void => {
    this.#pages.push(page)
    this.#bytes += page.document.length
    if (this.#bytes <= this.#maxBytes) return
    for (const expanded of this.#pages.splice(0)) expanded.shrink()
    this.#bytes = 0
  }
}
