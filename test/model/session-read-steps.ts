/**
 * How a clone answers a read at level `session`: the token, then the store's incarnation and its floor, then a replica
 * connection that is known to have replayed both, else the primary, which heals a token that cannot be used.
 */

import type { Step } from './explorer.ts'
import type { Breach } from './session-protocol.ts'
import { changed, insertPosition, isSame, recordOf } from './session-state.ts'
import type { CloneState, Parts, Position, Read, State, StoreState } from './session-state.ts'

const done = {
  stage: 'done',
  required: '',
  need: null,
  fetched: null,
  seen: {},
  snapshot: null,
  incarnation: 0,
} as const

export function readSteps(state: State, index: number, breach: Breach | null): Step<State>[] {
  const read = state.reads[index]
  const clone = state.clones[index]
  if (read === undefined || clone === undefined) return []
  const to = (label: string, change: Partial<Read>, rest: Partial<State> = {}): Step<State> => {
    const next = { ...state, ...rest, reads: changed(state.reads, index, change) }
    return { label: `read ${index}: ${label}`, next: change.stage === 'done' ? forgetClone(next, index) : next }
  }
  switch (read.stage) {
    case 'idle': {
      if (!isTurn(state, index)) return []
      const required = acknowledged(state)
      const invoked = to(`invoked, must see "${required}"`, { stage: 'invoked', required })
      if (!tokenCanShrink(state, breach))
        return tokenSteps(state, { ...read, required }, breach, to).map((step) => withRequired(step, index, required))
      return [invoked]
    }
    case 'invoked':
      return tokenSteps(state, read, breach, to)
    case 'token':
      return decisionSteps(state, read, clone, index, breach, to)
    case 'floor':
      return floorSteps(state, read, clone, index, to)
    case 'ready':
      return choiceSteps(state, read, clone, breach, to)
    case 'reading':
      return answerSteps(state, read, clone, to)
    case 'healing':
      return [to('answered by the primary, the token replaced', done, { store: heal(state.store, read, breach) })]
    case 'done':
      return []
  }
}

type To = (label: string, change: Partial<Read>, rest?: Partial<State>) => Step<State>

/**
 * A read that finds its token right when it is invoked finds the least, unless the store can still lose entries: in
 * the other models the two steps are one, which leaves out only easier cases.
 */
function tokenCanShrink(state: State, breach: Breach | null): boolean {
  return state.budgets.storeLosses > 0 || (breach?.includes('before the token') ?? false)
}

/** Reads come one after the other: two at once differ only in the token that each has read. */
export function isTurn(state: State, index: number): boolean {
  return index === 0 || state.reads[index - 1]?.stage === 'done'
}

function withRequired(step: Step<State>, index: number, required: string): Step<State> {
  const label = `${step.label}; it must show "${required}"`
  return { label, next: { ...step.next, reads: changed(step.next.reads, index, { required }) } }
}

/** A clone with nothing left to read is of no more interest: forgetting it makes many states one. */
function forgetClone(state: State, index: number): State {
  return { ...state, clones: changed(state.clones, index, { view: 0, replica: 0, known: null, floor: null }) }
}

function acknowledged(state: State): string {
  return state.writes.map((write, index) => (write.acknowledged ? recordOf(index) : '')).join('')
}

function tokenSteps(state: State, read: Read, breach: Breach | null, to: To): Step<State>[] {
  if (breach === 'incarnation asked before the token' && read.incarnation === 0) {
    return [to(`incarnation ${state.store.incarnation}`, { incarnation: state.store.incarnation })]
  }
  if (breach === 'healing position read before the token' && read.fetched === null) {
    if (state.primary.epoch === 0) return []
    return [to(`position ${state.primary.log.length} read early`, { fetched: insertPosition(state.primary) })]
  }
  return [to(`the token is ${JSON.stringify(state.store.token)}`, { stage: 'token', seen: state.store.token })]
}

/** Which kind of token it is: one that a replica can satisfy, or one that only the primary can. */
function decisionSteps(
  state: State,
  read: Read,
  clone: CloneState,
  index: number,
  breach: Breach | null,
  to: To,
): Step<State>[] {
  if (breach === 'epoch ignored') {
    const lsn = Math.max(1, ...Object.values(read.seen))
    return [to(`needs ${lsn}`, { stage: 'ready', need: { epoch: 0, lsn }, fetched: null })]
  }
  const epochs = Object.keys(read.seen).map(Number)
  if (epochs.length > 1 || (epochs.length === 1 && epochs[0] !== clone.view))
    return healingSteps(state, read, index, to)
  if (
    breach === 'store incarnation ignored' ||
    (breach === 'floor only for readers without a token' && epochs.length === 1)
  ) {
    return [to('needs its token only', { stage: 'ready', need: needOf(read.seen, clone.view, 0) })]
  }
  const incarnation = read.incarnation === 0 ? state.store.incarnation : read.incarnation
  return [to(`incarnation ${incarnation}`, { stage: 'floor', incarnation })]
}

function healingSteps(state: State, read: Read, index: number, to: To): Step<State>[] {
  if (state.primary.epoch === 0) return []
  const fetched = read.fetched ?? insertPosition(state.primary)
  const clones = changed(state.clones, index, { view: state.primary.epoch })
  return [
    to(
      `a mixture or another epoch: the primary is at ${fetched.lsn} of epoch ${fetched.epoch}`,
      { stage: 'healing', fetched },
      { clones },
    ),
  ]
}

/** The floor of this incarnation under the epoch that this clone knows; the first to ask makes it. */
function floorSteps(state: State, read: Read, clone: CloneState, index: number, to: To): Step<State>[] {
  const { store, primary } = state
  const epochs = Object.keys(read.seen).map(Number)
  if (epochs.length === 1 && epochs[0] !== clone.view) return healingSteps(state, { ...read, fetched: null }, index, to)
  const ready = (lsn: number, label: string, change: Partial<StoreState> = {}): Step<State> => {
    const clones = changed(state.clones, index, { floor: { incarnation: read.incarnation, epoch: clone.view, lsn } })
    const next = { stage: 'ready', need: needOf(read.seen, clone.view, lsn), fetched: null } as const
    return to(label, next, { clones, store: { ...store, ...change } })
  }
  const known = clone.floor
  if (known?.incarnation === read.incarnation && known.epoch === clone.view)
    return [ready(known.lsn, `the floor is ${known.lsn}, as known`)]
  const isSameStore = store.incarnation === read.incarnation
  const floor = isSameStore ? store.floors[clone.view] : undefined
  if (floor !== undefined) return [ready(floor, `the floor is ${floor}`)]
  if (read.fetched?.epoch === clone.view) {
    const { lsn } = read.fetched
    return [
      ready(lsn, `the floor is made at ${lsn}`, isSameStore ? { floors: { ...store.floors, [clone.view]: lsn } } : {}),
    ]
  }
  if (primary.epoch === 0) return []
  if (primary.epoch !== clone.view) {
    return [
      to('the primary has another epoch, and answers', done, {
        clones: changed(state.clones, index, { view: primary.epoch }),
      }),
    ]
  }
  return [to(`no floor: the primary is at ${primary.log.length}`, { fetched: insertPosition(primary) })]
}

function needOf(seen: Parts, epoch: number, floor: number): Position {
  return { epoch, lsn: Math.max(floor, seen[epoch] ?? 0) }
}

/** A replica connection serves if what was read on it satisfies the need. */
function choiceSteps(state: State, read: Read, clone: CloneState, breach: Breach | null, to: To): Step<State>[] {
  const log = state.replicas[clone.replica]
  if (log === undefined) return []
  if (breach === 'position read inside the snapshot that reads the data' && read.snapshot === null) {
    return [to(`takes a snapshot of replica ${clone.replica}`, { snapshot: log })]
  }
  const { need } = read
  const { known } = clone
  if (need === null || known === null || known.lsn < need.lsn) return []
  if (need.epoch !== 0 && known.epoch !== need.epoch) return []
  return [
    to(`replica ${clone.replica} at ${known.lsn} of epoch ${known.epoch} has what it needs (${need.lsn})`, {
      stage: 'reading',
    }),
  ]
}

/** The statement itself, later than the choice. A connection that broke in between sends the read back to choosing. */
function answerSteps(state: State, read: Read, clone: CloneState, to: To): Step<State>[] {
  const log = state.replicas[clone.replica]
  if (log === undefined) return []
  const contents = read.snapshot ?? log
  const missing = [...read.required].filter((record) => !contents.includes(record)).join('')
  const wrong =
    missing === ''
      ? ''
      : `a read that must see "${read.required}" was answered from "${contents}" and misses "${missing}"`
  return [to(`answered by replica ${clone.replica} from "${contents}"`, { ...done, wrong })]
}

function heal(store: StoreState, read: Read, breach: Breach | null): StoreState {
  if (read.fetched === null) return store
  if (breach !== 'healing without compare' && !isSame(store.token, read.seen)) return store
  const token = { [read.fetched.epoch]: read.fetched.lsn }
  return isSame(token, store.token) ? store : { ...store, token, before: store.token }
}
