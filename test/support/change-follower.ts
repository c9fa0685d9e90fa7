/**
 * A receiver of changes as FRESHNESS rules 7, 8 and 16 ask for it, small enough to be believed: what the stream says of
 * each value, up to which position, and from which one on.
 */

import { hashRow, type TemplateId } from '../../src/freshness/changes/hash.ts'
import type { ChangeMessage } from '../../src/freshness/changes/message.ts'
import type { Epoch, Lsn } from '../../src/engines/position.ts'

export class ChangeFollower {
  epoch: Epoch | null = null
  watermark: Lsn = 0
  visible: Lsn = 0
  /** Everything up to here counts as changed. */
  floor: Lsn = 0
  /** How often everything was forgotten. */
  starts = 0
  readonly #rows = new Map<string, Lsn>()
  readonly #tables = new Map<number, Lsn>()
  #taken = 0

  /** Takes what is new in a growing list of messages. */
  follow(messages: readonly ChangeMessage[]): void {
    for (; this.#taken < messages.length; this.#taken += 1) this.take(messages[this.#taken] as ChangeMessage)
  }

  take(message: ChangeMessage): void {
    if (message.epoch !== this.epoch || message.from > this.watermark) this.#forget(message)
    for (const { to, hashes, wide, everything } of message.commits) {
      if (everything) this.floor = Math.max(this.floor, to)
      for (const table of wide) this.#tables.set(table, Math.max(to, this.#tables.get(table) ?? 0))
      for (let at = 0; at < hashes.length; at += 2) {
        const key = `${hashes[at]}.${hashes[at + 1]}`
        this.#rows.set(key, Math.max(to, this.#rows.get(key) ?? 0))
      }
    }
    this.watermark = Math.max(this.watermark, message.to)
    this.visible = Math.max(this.visible, message.visible)
  }

  #forget({ epoch, from }: ChangeMessage): void {
    this.starts += 1
    this.epoch = epoch
    this.floor = from
    this.watermark = from
    this.visible = 0
    this.#rows.clear()
    this.#tables.clear()
  }

  /** The position of the last change of rows with these values; the floor where nothing later is known. */
  changed(template: TemplateId, table: number, values: readonly string[]): Lsn {
    const row = this.#rows.get(hashRow(template, values).join('.')) ?? 0
    return Math.max(row, this.#tables.get(table) ?? 0, this.floor)
  }
}
