/**
 * The protocol of level `session` as a state machine (FRESHNESS rules 2, 4, 18, 21, 31 and 32), with the breaches that
 * a wrong implementation would commit. Invariant: a read sees every write of its reader that was acknowledged before
 * the read was invoked.
 *
 * Reads on the primary always keep it, so the model follows them only as far as they heal the token.
 */

import type { Model, Step } from './explorer.ts'
import { createEncoder } from './session-encoding.ts'
import { serverSteps } from './session-server-steps.ts'
import { readSteps } from './session-read-steps.ts'
import { changed, initialState, insertPosition, isSame, recordOf } from './session-state.ts'
import type { Bounds, Parts, Position, State, StoreState, Write } from './session-state.ts'

export const breaches = [
  'position read inside the transaction',
  'start of the commit record as position',
  'flush position instead of insert position',
  'token moved after the response',
  'position polled on another connection',
  'position kept over a reconnect',
  'position read inside the snapshot that reads the data',
  'epoch ignored',
  'raise overwrites instead of keeping the maximum',
  'raise of an old epoch replaces a newer token',
  'store incarnation ignored',
  'floor only for readers without a token',
  'incarnation asked before the token',
  'healing without compare',
  'healing position read before the token',
  'unknown positions marked alike',
] as const

export type Breach = (typeof breaches)[number]

export interface Scenario {
  readonly name: string
  readonly bounds: Bounds
  /** The reader's writes run with `synchronous_commit = off`; only with no crash, which may lose them rightly. */
  readonly asyncCommit?: boolean
}

export function sessionModel(scenario: Scenario, breach: Breach | null): Model<State> {
  return {
    initial: initialState(scenario.bounds),
    encode: createEncoder(),
    steps: (state) =>
      state.reads.every((read) => read.stage === 'done')
        ? []
        : [
            ...state.writes.flatMap((write, index) =>
              writeSteps(state, write, index, breach, scenario.asyncCommit ?? false),
            ),
            ...state.reads.flatMap((_, index) => readSteps(state, index, breach)),
            ...serverSteps(state, breach),
          ],
    violation: (state) => state.reads.map((read) => read.wrong).find((wrong) => wrong !== '') ?? null,
  }
}

/** BEGIN, COMMIT (record, flush, answer), position, raise, answer. */
function writeSteps(
  state: State,
  write: Write,
  index: number,
  breach: Breach | null,
  asyncCommit: boolean,
): Step<State>[] {
  const name = recordOf(index)
  const steps: Step<State>[] = []
  const set = (label: string, change: Partial<Write>, rest: Partial<State> = {}): void => {
    steps.push({
      label: `write ${name}: ${label}`,
      next: { ...state, ...rest, writes: changed(state.writes, index, change) },
    })
  }
  const { primary } = state
  switch (write.stage) {
    case 'idle':
      if (index > 0 && state.writes[index - 1]?.stage === 'idle') return []
      if (breach !== 'position read inside the transaction') return [commitRecord(state, write, index, breach)]
      if (primary.epoch !== 0)
        set(`position ${primary.log.length} read inside the transaction`, {
          stage: 'open',
          position: insertPosition(primary),
        })
      break
    case 'open':
      return [commitRecord(state, write, index, breach)]
    case 'committing': {
      const flushed = asyncCommit ? primary.flushed : Math.max(primary.flushed, write.end)
      set('COMMIT answers', { stage: 'returned' }, { primary: { ...primary, flushed } })
      break
    }
    case 'returned':
      steps.push(...positionSteps(state, write, index, breach))
      break
    case 'positioned':
      if (write.position !== null) {
        const { epoch, lsn } = write.position
        set(
          `the token is raised to ${lsn} of epoch ${epoch}`,
          { stage: 'raised' },
          { store: raise(state.store, write.position, breach) },
        )
      }
      if (breach === 'token moved after the response' && !write.acknowledged)
        set('acknowledged', { acknowledged: true })
      break
    case 'raised':
      set('acknowledged', {
        stage: 'done',
        acknowledged: true,
        position: null,
        end: state.budgets.failovers > 0 ? write.end : 0,
      })
      break
    case 'done':
    case 'failed':
  }
  return steps
}

function commitRecord(state: State, write: Write, index: number, breach: Breach | null): Step<State> {
  const { primary } = state
  const log = primary.log + recordOf(index)
  const atStart = breach === 'start of the commit record as position' && primary.epoch !== 0
  const position = atStart ? insertPosition(primary) : write.position
  return {
    label: `write ${recordOf(index)}: commit record at ${log.length} ("${log}")`,
    next: {
      ...state,
      primary: { ...primary, log },
      writes: changed(state.writes, index, { stage: 'committing', end: log.length, position }),
    },
  }
}

/** After COMMIT, on the same connection; where that one died, on the next. The position may also not come at all. */
function positionSteps(state: State, write: Write, index: number, breach: Breach | null): Step<State>[] {
  const steps: Step<State>[] = []
  const set = (position: Position, label: string, rest: Partial<State> = {}): void => {
    const writes = changed(state.writes, index, { stage: 'positioned', position })
    steps.push({ label: `write ${recordOf(index)}: ${label}`, next: { ...state, ...rest, writes } })
  }
  if (write.position !== null) set(write.position, 'keeps the position it has')
  else if (state.primary.epoch !== 0) {
    const insert = insertPosition(state.primary)
    const position =
      breach === 'flush position instead of insert position' ? { ...insert, lsn: state.primary.flushed } : insert
    set(position, `position ${position.lsn} of epoch ${position.epoch} read`)
  }
  if (state.budgets.unknowns > 0) {
    const mark = breach === 'unknown positions marked alike' ? 100 : 100 + index
    const budgets = { ...state.budgets, unknowns: state.budgets.unknowns - 1 }
    set({ epoch: mark, lsn: 0 }, `its position does not come: mark ${mark}`, { budgets })
  }
  return steps
}

/** The store's atomic maximum for each epoch. */
export function raise(store: StoreState, { epoch, lsn }: Position, breach: Breach | null): StoreState {
  const old = store.token[epoch] ?? 0
  const greatest = breach === 'raise overwrites instead of keeping the maximum' ? lsn : Math.max(old, lsn)
  const others: Parts = breach === 'raise of an old epoch replaces a newer token' ? {} : store.token
  const token = { ...others, [epoch]: greatest }
  return isSame(token, store.token) ? store : { ...store, token, before: store.token }
}
