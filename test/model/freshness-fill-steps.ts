/**
 * Fills in steps (rules 18 and 19): asOf, then each read, then the entry. One runs on a clone at a time. A fill that
 * uses a nested entry, takes it from a tier after the same check that a hit passes.
 */

import type { Context } from './freshness-breaches.ts'
import { hasReached, isValid } from './freshness-checks.ts'
import { merge, partsOf, showRows } from './freshness-rows.ts'
import { setClone, spend, visibleLog, withItem } from './freshness-state.ts'
import type { Clone, Entry, Fill, State } from './freshness-state.ts'
import type { Step } from './explorer.ts'

export function fillSteps(state: State, context: Context): Step<State>[] {
  return state.fills.flatMap((fill, index) => {
    const clone = state.clones[index]
    if (clone?.stage !== 'up') return []
    if (fill === null) return beginSteps(state, context, clone, index)
    if (fill.todo === '') return [store(state, context, fill, clone, index)]
    return [...fill.todo].flatMap((part) =>
      part === 'K' ? nestedSteps(state, context, fill, clone, index) : [readPart(state, context, fill, index, part)],
    )
  })
}

function beginSteps(state: State, context: Context, clone: Clone, index: number): Step<State>[] {
  if (state.left.fills === 0 || clone.epoch === 0) return []
  const { keys, fillsOn } = context.scenario.bounds
  return keys.flatMap((key) => fillsOn.map((source) => beginFill(state, context, clone, index, { key, source })))
}

/** asOf and epoch are fixed before anything is read. */
export function beginFill(
  state: State,
  context: Context,
  clone: Clone,
  index: number,
  { key, source, isForRead = false }: Pick<Fill, 'key' | 'source'> & { readonly isForRead?: boolean },
): Step<State> {
  const origin = source === 'primary' ? primaryAsOf(state, context, clone) : replicaAsOf(state, context, clone)
  const fill = { key, value: '', ...origin, upTo: 0, replicaUpTo: 0, source, todo: partsOf[key], isForRead }
  return {
    label: `clone ${index} begins a fill of ${key} on the ${source}: asOf ${fill.asOf} of epoch ${fill.epoch}`,
    next: { ...state, fills: withItem(state.fills, index, fill), left: spend(state, 'fills') },
  }
}

type Origin = Pick<Entry, 'epoch' | 'asOf'>

function primaryAsOf({ primary }: State, context: Context, { epoch, visible, watermark }: Clone): Origin {
  if (context.commits('19: the watermark is the asOf of a fill')) return { epoch, asOf: watermark }
  if (context.commits('19: the insert position is the asOf of a fill'))
    return { epoch: primary.epoch, asOf: primary.log.length }
  return { epoch, asOf: visible }
}

function replicaAsOf({ replica }: State, context: Context, clone: Clone): Origin {
  const isMistaken = context.commits('4: a replica is taken to be in the epoch of the clone')
  return { epoch: isMistaken ? clone.epoch : (replica?.epoch ?? 0), asOf: replica?.replay ?? 0 }
}

function readPart(state: State, context: Context, fill: Fill, index: number, row: string): Step<State> {
  const { primary, replica } = state
  const isPrimary = fill.source === 'primary'
  const shown = showRows(isPrimary ? visibleLog(primary) : (replica?.log ?? ''), row, context)
  const upTo = isPrimary ? primary.log.length : replicaUpTo(state, context)
  const change: Fill = {
    ...fill,
    value: merge(fill.value, shown),
    upTo: Math.max(fill.upTo, upTo),
    replicaUpTo: isPrimary ? fill.replicaUpTo : Math.max(fill.replicaUpTo, upTo),
    todo: fill.todo.replace(row, ''),
  }
  return {
    label: `clone ${index} reads ${row} for it on the ${fill.source}: "${shown}"`,
    next: { ...state, fills: withItem(state.fills, index, change) },
  }
}

/** The smallest receive position that a replica can tell after a read: all that it has applied. */
export function replicaUpTo({ replica }: State, context: Context): number {
  if (replica === null) return 0
  return context.commits('22: upTo is the replay position') ? replica.replay : replica.log.length
}

/** For a reader who waits for the whole, each part passes the check of the reader's own hits. */
function nestedSteps(state: State, context: Context, fill: Fill, clone: Clone, index: number): Step<State>[] {
  const isUnchecked = context.commits("20: a nested entry is used without the reader's token")
  if (fill.isForRead && !isUnchecked && !hasReached(clone, state.read)) return []
  const found = [clone.entries[0], state.shared[0]].filter((entry) => entry && isValid(clone, entry, context))
  const isBelieved = context.commits('19: a nested entry counts as fresh as the fill that uses it')
  return found.flatMap((entry, at) => {
    // An entry of another epoch makes a mixture: it is of no use to this fill.
    if (!entry || entry.epoch !== fill.epoch || (at === 1 && entry === found[0])) return []
    // Its value is what the database held at its asOf, and as nothing has changed since, at the watermark.
    const isOwn = context.commits('19: a nested entry counts as of its own asOf')
    const validAt = isOwn ? entry.asOf : Math.max(entry.asOf, clone.watermark)
    const asOf = isBelieved ? fill.asOf : Math.min(fill.asOf, validAt)
    const change = {
      value: merge(fill.value, entry.value),
      asOf,
      upTo: Math.max(fill.upTo, entry.upTo),
      replicaUpTo: Math.max(fill.replicaUpTo, entry.replicaUpTo),
      todo: fill.todo.replace('K', ''),
    }
    return [
      {
        label: `clone ${index} uses entry K "${entry.value}" for it, valid at ${validAt}: asOf ${asOf}`,
        next: { ...state, fills: withItem(state.fills, index, { ...fill, ...change }) },
      },
    ]
  })
}

/** The entry goes to the clone's own tier, and to the shared one where there is one. */
function store(state: State, context: Context, fill: Fill, clone: Clone, index: number): Step<State> {
  const { source, todo: _, isForRead: __, ...read } = fill
  const isLate = source === 'replica' && context.commits('19: the replay position is read after the data')
  const isEnd = context.commits('4: an entry gets the epoch in which its fill ended')
  const entry: Entry = {
    ...read,
    asOf: isLate ? (state.replica?.replay ?? 0) : read.asOf,
    epoch: isEnd ? clone.epoch : read.epoch,
  }
  const at = entry.key === 'K' ? 0 : 1
  const { sharedTier } = context.scenario.bounds
  return {
    label: `clone ${index} stores entry ${entry.key} "${entry.value}", asOf ${entry.asOf} of epoch ${entry.epoch}`,
    next: {
      ...state,
      clones: setClone(state, index, { entries: withItem(clone.entries, at, entry) }),
      shared: sharedTier ? withItem(state.shared, at, entry) : state.shared,
      fills: withItem(state.fills, index, null),
    },
  }
}
