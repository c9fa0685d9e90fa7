/**
 * What the database does: commits in two steps (a record, later its visibility), the writer's token, the replica's
 * replay, crashes and promotions that begin a new epoch and may use positions again, and the passing of time.
 */

import type { Context } from './freshness-breaches.ts'
import { idOf, rowOf } from './freshness-rows.ts'
import { spend, withItem, type Clone, type Primary, type State, type Store, type Token } from './freshness-state.ts'
import type { Step } from './explorer.ts'

/** The ids of the writes that a predicate picks. */
export function pickWrites(state: State, isPicked: (stage: string, index: number) => boolean): string {
  let ids = ''
  for (let index = 0; index < state.writes.length; index++)
    if (isPicked(state.writes[index] ?? '-', index)) ids += idOf(index)
  return ids
}

export function writeSteps(state: State, context: Context): Step<State>[] {
  return context.scenario.bounds.writes.flatMap((_, index) => {
    switch (state.writes[index]) {
      case '-':
        if (!canCommit(state, context, index)) return []
        return context.scenario.bounds.joinsLate ? [changeRow(state, context, index)] : [commitRecord(state, index)]
      case 'o':
        return [commitRecord(state, index)]
      case 'c':
        return [becomeVisible(state, context, index)]
      case 'v':
        return tokenSteps(state, context, index)
      case 'r':
        return [raised(state, context, index, 'the token follows')]
      default:
        return []
    }
  })
}

/**
 * A row's next change waits for the lock that the one before holds until it is visible. Writes of one kind begin in
 * the order of the scenario: their names are all that tells them apart.
 */
function canCommit(state: State, { scenario }: Context, index: number): boolean {
  const { writes } = scenario.bounds
  const write = writes[index]
  if (write === undefined) return false
  const isLocked = writes.some((other, at) => other.row === write.row && 'oc'.includes(state.writes[at] ?? '-'))
  const isTurn = writes.every(
    (other, at) => at >= index || other.row !== write.row || other.own !== write.own || state.writes[at] !== '-',
  )
  return !isLocked && isTurn
}

function setStage(state: State, index: number, stage: string): string {
  return state.writes.slice(0, index) + stage + state.writes.slice(index + 1)
}

/** Where a table joins late it matters when a row was changed, not only when that was committed. */
function changeRow(state: State, context: Context, index: number): Step<State> {
  const { primary } = state
  const id = idOf(index)
  const isUnsent = primary.joined < 0 && rowOf(id, context) === 'x'
  const unsent = isUnsent ? primary.unsent + id : primary.unsent
  return {
    label: `transaction ${id} changes its row`,
    next: { ...state, primary: { ...primary, unsent }, writes: setStage(state, index, 'o') },
  }
}

function commitRecord(state: State, index: number): Step<State> {
  const { primary } = state
  const id = idOf(index)
  const log = primary.log + id
  return {
    label: `commit ${id}: its record is written, [${primary.log.length}, ${log.length})`,
    next: {
      ...state,
      primary: { ...primary, log, invisible: primary.invisible + id },
      writes: setStage(state, index, 'c'),
    },
  }
}

function becomeVisible(state: State, context: Context, index: number): Step<State> {
  const id = idOf(index)
  const primary = { ...state.primary, invisible: state.primary.invisible.replace(id, '') }
  if (context.scenario.bounds.writes[index]?.own ?? false) {
    return {
      label: `commit ${id}: visible, COMMIT answers`,
      next: { ...state, primary, writes: setStage(state, index, 'v') },
    }
  }
  const next = { ...state, primary, writes: setStage(state, index, 'a'), times: stamp(state, index) }
  return { label: `commit ${id}: visible, and acknowledged to its writer`, next }
}

function stamp(state: State, index: number): string {
  if (state.now === 0 && state.left.ticks === 0) return state.times
  return state.times.slice(0, index) + state.now + state.times.slice(index + 1)
}

/** The token moves, and only then is the write acknowledged: nothing that comes between makes it harder to be right. */
function tokenSteps(state: State, context: Context, index: number): Step<State>[] {
  if (context.commits('31: a write is acknowledged before its token moved')) {
    return [{ label: `write ${idOf(index)}: acknowledged`, next: { ...state, writes: setStage(state, index, 'r') } }]
  }
  return [raised(state, context, index, 'then acknowledged')]
}

function raised(state: State, context: Context, index: number, then: string): Step<State> {
  const id = idOf(index)
  const { primary } = state
  const isEarly = context.commits('2: the position of a write is read inside the transaction')
  const lsn = isEarly ? Math.max(0, primary.log.indexOf(id)) : primary.log.length
  const store = raise(state, { epoch: primary.epoch, lsn, replica: 0 })
  return {
    label: `write ${id}: the token is raised to ${lsn}, ${then}`,
    next: { ...state, store, writes: setStage(state, index, 'a'), times: stamp(state, index) },
  }
}

/** The store's maximum. A token with parts of two epochs satisfies nobody but the primary: it counts as epoch 9. */
export function raise(state: State, part: Token): Store {
  const { store } = state
  const old = store.token
  const token =
    old.lsn === 0 || old.epoch === part.epoch
      ? { epoch: part.epoch, lsn: Math.max(old.lsn, part.lsn), replica: Math.max(old.replica, part.replica) }
      : { epoch: 9, lsn: 1, replica: 0 }
  return { ...store, token, before: state.left.storeLosses > 0 ? old : token }
}

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
