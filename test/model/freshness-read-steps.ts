/**
 * One reader, whose reads come one after the other: each is invoked on a clone, and answered by a hit in either tier,
 * by joining a running fill, by the replica, or by the primary (rules 20, 22, 23, 24 and 32). What a read does not get
 * from a tier, it reads itself; as entries it then makes are those of any fill, reads and fills are apart here.
 *
 * The token is read as the read is invoked, and the position query of `strict` answered: later ones are greater, and
 * so only easier to be right with.
 */

import type { Context } from './freshness-breaches.ts'
import { hasReached, isValid } from './freshness-checks.ts'
import { beginFill, replicaUpTo } from './freshness-fill-steps.ts'
import { merge, rowsOf, showRows } from './freshness-rows.ts'
import { reachedTime } from './freshness-server-steps.ts'
import { idleRead, visibleLog } from './freshness-state.ts'
import type { Clone, Entry, Level, State, Store, Token } from './freshness-state.ts'
import { pickWrites, raise } from './freshness-write-steps.ts'
import type { Step } from './explorer.ts'

type Shown = Pick<Entry, 'epoch' | 'upTo' | 'replicaUpTo'>

/** `eventual` answers may be this many ticks of the clock old. */
export const maxStaleness = 1

export function readSteps(state: State, context: Context): Step<State>[] {
  const { read } = state
  const level = context.scenario.bounds.reads[read.done]
  if (level === undefined) return []
  const clone = state.clones[read.clone]
  switch (read.stage) {
    case 'idle':
      return level === 'strict' && context.commits('23: the position query is older than the request')
        ? [asked(state)]
        : invokeSteps(state, context, level)
    case 'asked':
      return invokeSteps(state, context, level)
    case 'invoked':
      return clone?.stage === 'up' ? answerSteps(state, context, level, clone) : []
    case 'filling':
      return ownFillAnswers(state, context, level)
    case 'held':
      return clone === undefined ? [] : releaseSteps(state, context, clone)
  }
}

function asked(state: State): Step<State> {
  const need = primaryPosition(state)
  return {
    label: `a position query for other readers is answered: ${need.lsn}`,
    next: { ...state, read: { ...state.read, stage: 'asked', need } },
  }
}

function primaryPosition({ primary }: State): Token {
  return { epoch: primary.epoch, lsn: primary.log.length, replica: 0 }
}

function invokeSteps(state: State, context: Context, level: Level): Step<State>[] {
  const { read } = state
  const store = level === 'strict' || level === 'eventual' ? state.store : withFloor(state)
  const need =
    level === 'strict' ? (read.stage === 'asked' ? read.need : primaryPosition(state)) : tokenOf(store, level, context)
  const { keys, reads } = context.scenario.bounds
  const isLast = read.done + 1 === reads.length
  return state.clones.flatMap((_, clone) =>
    keys.flatMap((key) => {
      const required = requiredBy(state, context, level, rowsOf[key])
      // It could not be wrong, nor make a later read wrong.
      if (required === '' && level !== 'eventual' && (isLast || level === 'session')) return []
      const invoked = { ...read, stage: 'invoked' as const, clone, key, required, need }
      return {
        label: `read of ${key} at ${level} on clone ${clone}: must show "${required}", needs ${need.lsn}`,
        next: { ...state, store, read: invoked },
      }
    }),
  )
}

/** Whoever first sees a new incarnation of the store asks the primary for its floor. */
function withFloor(state: State): Store {
  if (state.store.floor >= 0) return state.store
  return { ...state.store, floor: state.primary.log.length, floorEpoch: state.primary.epoch }
}

function tokenOf({ token, floor, floorEpoch }: Store, level: Level, context: Context): Token {
  if (level === 'eventual') return { epoch: 0, lsn: 0, replica: 0 }
  if (floor <= 0 || context.commits('32: the floor of a new store is not asked for')) return token
  // What was lost may have had a part that a replica showed, so the floor stands for that as well.
  const isLax = context.commits('32: the floor of a new store does not hold the primary')
  const replica = isLax ? token.replica : Math.max(token.replica, floor)
  // A token of another epoch: nobody but the primary will do.
  if (token.lsn > 0 && token.epoch !== floorEpoch) return { epoch: floorEpoch, lsn: 9, replica: isLax ? 0 : floor }
  return { epoch: floorEpoch, lsn: Math.max(token.lsn, floor), replica }
}

/** What the level promises, as far as the database still holds it. */
function requiredBy(state: State, context: Context, level: Level, rows: string): string {
  const { writes } = context.scenario.bounds
  const isTold = (stage: string): boolean => stage === 'a' || stage === 'r'
  const own = pickWrites(state, (stage, index) => isTold(stage) && (writes[index]?.own ?? false))
  const promised: Record<Level, () => string> = {
    eventual: () => pickWrites(state, (_, index) => Number(state.times[index]) < state.now - maxStaleness),
    session: () => own,
    monotonic: () => own + state.read.shown,
    strict: () => pickWrites(state, isTold) + state.read.shown,
  }
  const ids = promised[level]()
  return [...state.primary.log].filter((id) => ids.includes(id) && rows.includes(rowName(id, context))).join('')
}

/** A fill of one row is a read of the database; one with a nested entry is more, so the reader may wait for that. */
function ownFillSteps(state: State, context: Context, level: Level, clone: Clone): Step<State>[] {
  const { read, left } = state
  if (read.key !== 'P' || left.fills === 0 || state.fills[read.clone] !== null) return []
  if (level !== 'session' && level !== 'strict') return []
  const { label, next } = beginFill(state, context, clone, read.clone, { key: 'P', source: 'primary', isForRead: true })
  return [{ label: `${label}, which the reader waits for`, next: { ...next, read: { ...read, stage: 'filling' } } }]
}

/** As all that a replica has a part in, it is held at `strict`. */
function ownFillAnswers(state: State, context: Context, level: Level): Step<State>[] {
  const fill = state.fills[state.read.clone]
  const visible = state.clones[state.read.clone]?.visible ?? 0
  if (fill?.isForRead !== true || fill.todo !== '') return []
  const isHeld = level === 'strict' && !context.commits('23: a nested entry that a replica filled is not held')
  if (isHeld && visible < fill.replicaUpTo) return []
  return [answer(state, context, 'the fill that it waited for', fill.value, fill)]
}

const rowName = (id: string, context: Context): string => (showRows(id, 'x', context) === '' ? 'y' : 'x')

function answerSteps(state: State, context: Context, level: Level, clone: Clone): Step<State>[] {
  const steps = [...hitSteps(state, context, level, clone), ...ownFillSteps(state, context, level, clone)]
  const { bounds } = context.scenario
  if (bounds.replica && level !== 'eventual') steps.push(...replicaAnswers(state, context, level, clone))
  // What the primary answers can only be wrong where a reader was shown something newer before.
  if (level === 'monotonic' || level === 'strict') steps.push(...primaryAnswers(state, context, clone))
  return steps
}

/** Hits of both tiers and of a running fill, all after one check. */
function hitSteps(state: State, context: Context, level: Level, clone: Clone): Step<State>[] {
  const { read } = state
  const at = read.key === 'K' ? 0 : 1
  const steps: Step<State>[] = []
  const offer = (from: string, entry: Entry | null | undefined, isBlind: boolean): void => {
    if (!entry || entry.key !== read.key) return
    if (!isBlind && !isHit(state, context, level, clone, entry)) return
    const isHidden = context.commits('22: a hit hides that a replica filled it')
    steps.push(answer(state, context, from, entry.value, isHidden ? { ...entry, replicaUpTo: 0 } : entry))
  }
  const isFilterless = context.commits('20: the filter is not asked')
  offer(`clone ${read.clone}'s own tier`, clone.entries[at], isFilterless && hasReached(clone, read))
  const second = state.shared[at]
  if (second !== clone.entries[at]) {
    offer('the second tier', second, context.commits('20: the second tier is believed blindly'))
  }
  const fill = state.fills[read.clone]
  if (fill?.todo === '') {
    offer('a fill that it joined', fill, context.commits('20: a joiner takes the result of a running fill blindly'))
  }
  return steps
}

function isHit(state: State, context: Context, level: Level, clone: Clone, entry: Entry): boolean {
  if (!isValid(clone, entry, context)) return false
  if (level === 'eventual') return state.now - reachedTime(clone) <= maxStaleness
  if (!hasReached(clone, state.read) && !context.commits('20: a hit does not wait for the watermark')) return false
  if (level !== 'strict' || context.commits('23: a hit that a replica filled is not held')) return true
  const isShort = context.commits('23: a hit that a replica filled is held for the position query alone')
  return clone.visible >= (isShort ? Math.min(entry.replicaUpTo, state.read.need.lsn) : entry.replicaUpTo)
}

function replicaAnswers(state: State, context: Context, level: Level, clone: Clone): Step<State>[] {
  const { replica, read } = state
  if (replica === null || replica.epoch !== read.need.epoch || replica.replay < read.need.lsn) return []
  const value = showRows(replica.log, rowsOf[read.key], context)
  const upTo = replicaUpTo(state, context)
  const shown = { epoch: replica.epoch, upTo, replicaUpTo: upTo }
  const from = `the replica (replay position ${replica.replay})`
  if (level !== 'strict' || context.commits("23: a replica's answer is not held"))
    return [answer(state, context, from, value, shown)]
  if (clone.epoch === replica.epoch && clone.visible >= upTo) return [answer(state, context, from, value, shown)]
  return [
    {
      label: `${from} shows "${value}", held until ${upTo} is visible`,
      next: { ...state, read: { ...read, stage: 'held', value, upTo } },
    },
  ]
}

function releaseSteps(state: State, context: Context, clone: Clone): Step<State>[] {
  const { need, upTo, value } = state.read
  if (clone.epoch !== need.epoch || clone.visible < upTo) return []
  return [answer(state, context, 'the replica, released', value, { epoch: need.epoch, upTo, replicaUpTo: upTo })]
}

function primaryAnswers(state: State, context: Context, clone: Clone): Step<State>[] {
  const { primary, read } = state
  const { need } = read
  const isCaughtUp =
    need.replica === 0 ||
    need.epoch !== primary.epoch ||
    (clone.epoch === primary.epoch && clone.visible >= need.replica)
  if (!isCaughtUp && !context.commits('22: falling back to the primary without waiting for it')) return []
  const value = showRows(visibleLog(primary), rowsOf[read.key], context)
  const shown = { epoch: primary.epoch, upTo: primary.log.length, replicaUpTo: 0 }
  return [answer(state, context, 'the primary', value, shown)]
}

/** The answer is judged here; at `monotonic` the token moves by what it showed. */
function answer(state: State, context: Context, from: string, value: string, shown: Shown): Step<State> {
  const { read } = state
  const level = context.scenario.bounds.reads[read.done]
  const required = level === 'eventual' ? requiredBy(state, context, level, rowsOf[read.key]) : read.required
  const missing = [...required].filter((id) => !value.includes(id) && state.primary.log.includes(id)).join('')
  const isLast = read.done + 1 === context.scenario.bounds.reads.length
  const memory = level === 'monotonic' || level === 'strict' ? merge(read.shown, value) : ''
  const next = { ...idleRead, done: read.done + 1, shown: isLast ? '' : memory }
  return {
    label: `answered by ${from}: "${value}"`,
    next: {
      ...state,
      store: level === 'monotonic' && !isLast ? moveToken(state, shown, context) : state.store,
      read: next,
      wrong: missing === '' ? '' : `${level}: the answer "${value}" misses "${missing}"`,
    },
  }
}

function moveToken(state: State, { epoch, upTo, replicaUpTo }: Shown, context: Context): Store {
  if (context.commits('22: the token ignores what answers showed') || upTo === 0) return state.store
  return raise(state, { epoch, lsn: upTo, replica: replicaUpTo })
}
