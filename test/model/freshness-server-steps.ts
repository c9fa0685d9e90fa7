/**
 * What servers do by themselves: crashes and promotions that begin a new epoch and may use positions again, the
 * replica's replay, a store that loses its newest entries, and the passing of time.
 */

import type { Context } from './freshness-breaches.ts'
import { idOf } from './freshness-rows.ts'
import { noToken, spend, withItem, type Clone, type Primary, type State } from './freshness-state.ts'
import type { Step } from './explorer.ts'

/** The primary crashes, or another server is promoted: of the log only a part is kept, and all of that is visible. */
export function crashSteps(state: State): Step<State>[] {
  if (state.left.crashes === 0) return []
  const { primary } = state
  const steps: Step<State>[] = []
  for (let kept = 0; kept <= primary.log.length; kept++) {
    // The slot may have been lost too, and then begins anew at the end.
    for (const slot of new Set([Math.min(primary.slot, kept), kept])) steps.push(crash(state, kept, slot))
  }
  return steps
}

function crash(state: State, kept: number, slot: number): Step<State> {
  const log = state.primary.log.slice(0, kept)
  const lost = state.primary.log.slice(kept)
  const epoch = state.primary.epoch + 1
  const primary: Primary = { ...state.primary, epoch, log, fork: kept, invisible: '', slot, unsettled: false }
  let writes = ''
  for (let index = 0; index < state.writes.length; index++) {
    const stage = state.writes[index] ?? '-'
    writes += stage === 'c' || lost.includes(idOf(index)) ? 'f' : stage
  }
  const { tracker } = state
  const woken =
    state.left.woken > 0 && tracker.isUp
      ? {
          epoch: tracker.epoch,
          from: tracker.published,
          commits: state.primary.log.slice(tracker.published),
          visible: tracker.visible,
        }
      : state.woken
  return {
    label: `the primary fails over: epoch ${epoch}, its log is now "${log}", its slot at ${slot}`,
    next: { ...state, primary, writes, woken, tracker: { ...tracker, isUp: false }, left: spend(state, 'crashes') },
  }
}

export function replicaSteps(state: State): Step<State>[] {
  const { replica, primary } = state
  if (replica === null) return []
  const steps: Step<State>[] = []
  const set = (label: string, change: Partial<typeof replica>, left = state.left): void => {
    steps.push({ label: `the replica ${label}`, next: { ...state, replica: { ...replica, ...change }, left } })
  }
  if (replica.epoch !== primary.epoch) {
    const log = primary.log.slice(0, primary.fork)
    const next = {
      ...state,
      fills: voidReplicaFills(state),
      replica: { epoch: primary.epoch, log, replay: log.length },
    }
    return [{ label: `the replica is rewound to "${log}", and replays the new epoch`, next }]
  }
  const applied = replica.log.length
  if (replica.replay < applied) set(`counts what it applied: replay position ${applied}`, { replay: applied })
  else if (applied < primary.log.length) {
    const log = primary.log.slice(0, applied + 1)
    set(`applies "${log}"`, { log })
  }
  return steps
}

/** Comes back behind: what was known on its connections is void, and so are the fills on them. */
export function replicaCrashSteps(state: State, context: Context): Step<State>[] {
  const { replica } = state
  if (replica === null || state.left.replicaCrashes === 0) return []
  const steps: Step<State>[] = []
  for (let kept = state.primary.fork; kept < replica.log.length; kept++) {
    const log = replica.log.slice(0, kept)
    const isKept = context.commits('21: a replay position outlives its connection')
    const next = {
      ...state,
      replica: { ...replica, log, replay: kept },
      fills: isKept ? state.fills : voidReplicaFills(state),
      left: spend(state, 'replicaCrashes'),
    }
    steps.push({ label: `the replica crashes, and comes back with "${log}"`, next })
  }
  return steps
}

function voidReplicaFills(state: State): State['fills'] {
  return state.fills.map((fill) => (fill?.source === 'replica' && fill.todo !== '' ? null : fill))
}

/** The central store loses its newest entries. */
export function storeSteps(state: State): Step<State>[] {
  if (state.left.storeLosses === 0) return []
  const store = { ...state.store, token: state.store.before, floor: -1, floorEpoch: 0 }
  return [
    {
      label: `the store falls back to token ${store.token.lsn}`,
      next: { ...state, store, left: spend(state, 'storeLosses') },
    },
  ]
}

/** Tokens that everybody has passed may go, if the floor takes their place: a server may come back behind them. */
export function tokenDropSteps(state: State, context: Context): Step<State>[] {
  const { store, replica, clones } = state
  const { epoch, lsn } = store.token
  if (state.left.tokenDrops === 0 || lsn === 0 || epoch === 9 || store.floor < 0) return []
  const isPassed =
    clones.every((clone) => clone.epoch === epoch && clone.watermark >= lsn) &&
    (replica === null || (replica.epoch === epoch && replica.replay >= lsn))
  if (!isPassed) return []
  const isBare = context.commits('32: a token is dropped because everybody has passed it')
  const floor = isBare ? {} : { floor: Math.max(store.floor, lsn), floorEpoch: epoch }
  const next = { ...store, ...floor, token: noToken, before: noToken }
  return [{ label: `the token ${lsn} is dropped`, next: { ...state, store: next, left: spend(state, 'tokenDrops') } }]
}

/** Time, and the background query of a position that ages are measured by. */
export function timeSteps(state: State, context: Context): Step<State>[] {
  const steps: Step<State>[] = []
  if (state.left.ticks > 0) {
    const now = state.now + 1
    steps.push({ label: `time passes: ${now}`, next: { ...state, now, left: spend(state, 'ticks') } })
  }
  state.clones.forEach((clone, index) => {
    const { age } = clone
    const set = (label: string, change: Partial<typeof age>, left = state.left): void => {
      const clones = withItem(state.clones, index, { ...clone, age: { ...age, ...change } })
      steps.push({ label: `clone ${index} ${label}`, next: { ...state, clones, left } })
    }
    if (age.sentAt === -1 && state.left.queries > 0)
      set(`sends a position query at ${state.now}`, { sentAt: state.now }, spend(state, 'queries'))
    else if (age.sentAt !== -1 && age.asked === -1) {
      const { length } = state.primary.log
      set(`has its query answered by the primary: ${length}`, { asked: length })
    } else if (age.asked !== -1) {
      const isLate = context.commits('24: the age of a position counts from its answer')
      const sampleAt = isLate ? state.now : age.sentAt
      const reachedAt = reachedTime(clone)
      set(`receives position ${age.asked}, of time ${sampleAt}`, {
        ...idleQuery,
        sampleAt,
        sample: age.asked,
        reachedAt,
      })
    }
  })
  return steps
}

const idleQuery = { sentAt: -1, asked: -1 } as const

/** The time of the newest position that this clone's watermark has reached. */
export function reachedTime({ age, watermark }: Clone): number {
  return age.sample !== -1 && watermark >= age.sample ? Math.max(age.reachedAt, age.sampleAt) : age.reachedAt
}
