/**
 * How a write goes: its record, later its visibility, then the writer's token, and the acknowledgement behind it. Where
 * a table joins the publication late, the change of the row is a step before these.
 */

import type { Context } from './freshness-breaches.ts'
import { idOf, rowOf } from './freshness-rows.ts'
import type { State, Store, Token } from './freshness-state.ts'
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
