/**
 * The check of a hit (rules 14, 16 and 20), and the properties of the protocol that hold in every state.
 */

import type { Context } from './freshness-breaches.ts'
import { rowsOf, showRows } from './freshness-rows.ts'
import type { Clone, Entry, Read, State } from './freshness-state.ts'

/** Nothing that the entry depends on has changed after its asOf, as far as this clone has seen the stream. */
export function isValid(clone: Clone, entry: Entry, context: Context): boolean {
  if (clone.stage !== 'up' || clone.epoch === 0) return false
  if (entry.epoch !== clone.epoch && !context.commits('4: epochs are not compared')) return false
  if (entry.asOf < clone.floor) return false
  // Before its table joined, nobody was told of changes. (Both keys are made of row x.)
  if (clone.joined < 0) return false
  if (entry.asOf < clone.joined && !context.commits('11: entries from before their table joined count')) return false
  for (const row of rowsOf[entry.key]) {
    const slots = context.scenario.bounds.slots[row === 'x' ? 'x' : 'y']
    if (Math.min(...slots.map((slot) => clone.slots[slot] ?? 0)) > entry.asOf) return false
  }
  return true
}

/** The clone has seen the stream as far as the read needs. */
export const hasReached = ({ epoch, watermark }: Clone, { need }: Read): boolean =>
  epoch === need.epoch && watermark >= need.lsn

/**
 * For ever: where everything is written, visible, published and received, and nothing is on its way, an entry that a
 * clone would serve shows what the database shows. Nothing would ever remove it otherwise.
 */
export function foreverViolation(state: State, context: Context): string | null {
  const { primary, tracker } = state
  const { length } = primary.log
  if (primary.invisible !== '' || !tracker.isUp) return null
  if (tracker.published !== length) return null
  for (const [index, clone] of state.clones.entries()) {
    if (!hasReceivedAll(clone, state)) continue
    for (const entry of [...clone.entries, ...state.shared]) {
      if (!entry || !isValid(clone, entry, context)) continue
      const current = showRows(primary.log, rowsOf[entry.key], context)
      if (current === entry.value) continue
      return `for ever: all is quiet, clone ${index} serves ${entry.key} "${entry.value}", the database holds "${current}"`
    }
  }
  return null
}

function hasReceivedAll(clone: Clone, { primary, tracker }: State): boolean {
  return (
    clone.queue.length === 0 && clone.watermark === primary.log.length && clone.epoch === tracker.epoch && !clone.half
  )
}
