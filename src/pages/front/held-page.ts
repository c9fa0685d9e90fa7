/** A page in the balancer's memory, ready to be sent. */

import { AnsweredPage } from '../answer.ts'

import type { Entry } from '../../cache/entry.ts'
import type { PageDocument } from '../document.ts'

export class HeldPage {
  readonly id: string
  readonly entry: Entry
  readonly page: AnsweredPage
  /** The addresses by which it is found at once. */
  readonly targets: Set<string> = new Set()
  uses = 0

  constructor(id: string, entry: Entry, more: readonly string[], onExpanded: (page: AnsweredPage) => void) {
    this.id = id
    this.entry = entry
    this.page = new AnsweredPage(entry.value as PageDocument, more, onExpanded)
  }
}
