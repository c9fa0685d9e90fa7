/**
 * What servers do by themselves in the session model: the primary flushes, crashes and fails over, replicas replay,
 * crash and are rewound, connections break, the store loses its newest entries, somebody else writes.
 */

import type { Step } from './explorer.ts'
import { changed, replayPosition, type State, type Write } from './session-state.ts'
import { isTurn } from './session-read-steps.ts'
import type { Breach } from './session-protocol.ts'

export function serverSteps(state: State, breach: Breach | null): Step<State>[] {
  return [
    ...primarySteps(state),
    ...replicaSteps(state, breach),
    ...connectionSteps(state, breach),
    ...storeSteps(state),
  ]
}

function primarySteps(state: State): Step<State>[] {
  const { primary, budgets } = state
  const steps: Step<State>[] = []
  const set = (label: string, change: Partial<State['primary']>, spent: Partial<State['budgets']> = {}): void => {
    steps.push({ label, next: { ...state, primary: { ...primary, ...change }, budgets: { ...budgets, ...spent } } })
  }
  if (budgets.others > 0) {
    set(
      'somebody else commits, without waiting for the flush',
      { log: primary.log + 'oo' },
      { others: budgets.others - 1 },
    )
  }
  if (primary.flushed < primary.log.length) set('the primary flushes its log', { flushed: primary.log.length })
  if (primary.epoch === 0) {
    const log = primary.log + String(primary.nextEpoch)
    set(`the empty epoch row is found: epoch ${primary.nextEpoch} is made and mirrored at ${log.length}`, {
      log,
      flushed: log.length,
      epoch: primary.nextEpoch,
      nextEpoch: primary.nextEpoch + 1,
    })
  }
  if (budgets.crashes > 0) {
    steps.push(loseTail(state, primary.flushed, 'the primary crashes and recovers', { crashes: budgets.crashes - 1 }))
  }
  if (budgets.failovers > 0) {
    for (let kept = smallestKept(state.writes); kept <= primary.flushed; kept++) {
      steps.push(loseTail(state, kept, 'another server is promoted', { failovers: budgets.failovers - 1 }))
    }
  }
  return steps
}

/** What a promotion must keep: everything that COMMIT has answered (anything less is the database losing data). */
function smallestKept(writes: readonly Write[]): number {
  return Math.max(
    1,
    ...writes.filter((write) => !['committing', 'failed'].includes(write.stage)).map((write) => write.end),
  )
}

function loseTail(state: State, kept: number, what: string, spent: Partial<State['budgets']>): Step<State> {
  const log = state.primary.log.slice(0, kept)
  return {
    label: `${what}: its log is now "${log}", its epoch row empty`,
    next: {
      ...state,
      primary: { ...state.primary, log, flushed: kept, epoch: 0 },
      writes: state.writes.map((write) =>
        ['open', 'committing'].includes(write.stage) ? { ...write, stage: 'failed' as const } : write,
      ),
      budgets: { ...state.budgets, ...spent },
    },
  }
}

function replicaSteps(state: State, breach: Breach | null): Step<State>[] {
  const received = state.primary.log.slice(0, state.primary.flushed)
  return state.replicas.flatMap((log, index) => {
    const steps: Step<State>[] = []
    if (!received.startsWith(log)) {
      const common = commonPrefix(received, log)
      steps.push({
        label: `replica ${index} is rewound to ${common.length}`,
        next: restartReplica(state, index, common, breach),
      })
    } else if (log.length < received.length) {
      const replayed = received.slice(0, log.length + 1)
      steps.push({
        label: `replica ${index} replays to ${replayed.length} ("${replayed}")`,
        next: setReplica(state, index, replayed),
      })
    }
    if (state.budgets.replicaCrashes > 0) {
      const budgets = { ...state.budgets, replicaCrashes: state.budgets.replicaCrashes - 1 }
      for (let kept = 1; kept <= log.length; kept++) {
        const next = restartReplica({ ...state, budgets }, index, log.slice(0, kept), breach)
        steps.push({ label: `replica ${index} crashes and comes back at ${kept}`, next })
      }
    }
    return steps
  })
}

function setReplica(state: State, index: number, log: string): State {
  return { ...state, replicas: state.replicas.map((old, at) => (at === index ? log : old)) }
}

/** Every connection to a server that restarts is lost, and with it what was known on it. */
function restartReplica(state: State, index: number, log: string, breach: Breach | null): State {
  const all = state.clones.reduce(
    (next, clone, at) => (clone.replica === index ? breakConnection(next, at, breach) : next),
    state,
  )
  return setReplica(all, index, log)
}

/** A statement under way on a connection that breaks has failed: its read chooses again. */
function breakConnection(state: State, index: number, breach: Breach | null): State {
  const known = breach === 'position kept over a reconnect' ? (state.clones[index]?.known ?? null) : null
  const reading = state.reads[index]?.stage === 'reading'
  return {
    ...state,
    clones: changed(state.clones, index, { replica: -1, known }),
    reads: reading ? changed(state.reads, index, { stage: 'ready', snapshot: null }) : state.reads,
  }
}

function connectionSteps(state: State, breach: Breach | null): Step<State>[] {
  return state.clones.flatMap((clone, index) => {
    const steps: Step<State>[] = []
    if (state.reads[index]?.stage === 'done' || !isTurn(state, index)) return steps
    const set = (label: string, change: Partial<typeof clone>): void => {
      steps.push({ label: `clone ${index} ${label}`, next: { ...state, clones: changed(state.clones, index, change) } })
    }
    if (clone.replica < 0) {
      state.replicas.forEach((_, at) => set(`connects, and lands on replica ${at}`, { replica: at }))
    } else if (state.budgets.drops > 0) {
      const budgets = { ...state.budgets, drops: state.budgets.drops - 1 }
      steps.push({
        label: `clone ${index} loses its connection`,
        next: breakConnection({ ...state, budgets }, index, breach),
      })
    }
    state.replicas.forEach((log, at) => {
      if (at !== clone.replica && breach !== 'position polled on another connection') return
      const known = replayPosition(log)
      const label =
        at === clone.replica ? `asks replica ${at} on its connection` : `polls replica ${at} on another connection`
      if (clone.replica >= 0) set(`${label}: ${known.lsn} of epoch ${known.epoch}`, { known })
    })
    const view = state.primary.epoch
    if (view !== 0 && view !== clone.view) set(`hears of epoch ${view}`, { view })
    return steps
  })
}

function storeSteps(state: State): Step<State>[] {
  const { store, budgets } = state
  if (budgets.storeLosses === 0) return []
  const survivors = [...new Set([JSON.stringify(store.before), '{}'])]
  return survivors.map((token) => ({
    label: `the store loses its newest entries: the token is ${token} in incarnation ${store.incarnation + 1}`,
    next: {
      ...state,
      store: { incarnation: store.incarnation + 1, token: JSON.parse(token), before: {}, floors: {} },
      budgets: { ...budgets, storeLosses: budgets.storeLosses - 1 },
    },
  }))
}

function commonPrefix(left: string, right: string): string {
  let length = 0
  while (length < left.length && left[length] === right[length]) length++
  return left.slice(0, length)
}
