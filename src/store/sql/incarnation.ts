/**
 * Which memory answered last. An incarnation that another has followed is never believed again: an answer of the old
 * server that comes late must not bring it back.
 */

import type { Logger } from '../../core/log.ts'

export class IncarnationWatch {
  current: string | null = null
  private readonly past = new Set<string>()
  private readonly log: Logger

  constructor(log: Logger) {
    this.log = log
  }

  learn(incarnation: string): void {
    if (incarnation === this.current || this.past.has(incarnation)) return
    if (this.current !== null) {
      this.past.add(this.current)
      this.log.warn({ incarnation }, 'the database of the store came out of a recovery: its incarnation is new')
    }
    this.current = incarnation
  }
}
