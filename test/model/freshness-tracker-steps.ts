/**
 * The tracker: receives commits in the order of the log, publishes each as one message, polls which of them snapshots
 * show, acknowledges to its slot, dies and starts again from there. An earlier one may wake up and publish what it
 * still had in memory.
 */

import type { Context } from './freshness-breaches.ts'
import { rowOf } from './freshness-rows.ts'
import { spend, type Message, type Primary, type State, type Tracker } from './freshness-state.ts'
import type { Scenario } from './freshness-scenarios.ts'
import type { Step } from './explorer.ts'

export function trackerSteps(state: State, context: Context): Step<State>[] {
  const steps = state.tracker.isUp ? runningSteps(state, context) : [start(state, context)]
  return [...steps, ...restartSteps(state, context), ...lostSlotSteps(state, context), ...wokenSteps(state, context)]
}

function runningSteps(state: State, context: Context): Step<State>[] {
  const { tracker, primary } = state
  const steps = joinSteps(state, context)
  if (hasRoom(state, context)) {
    if (tracker.published < primary.log.length) steps.push(publishCommit(state, context))
    const visible = isVisibleOfUse(state, context.scenario) ? pollVisible(state, context) : tracker.visible
    if (visible > tracker.visible || (context.scenario.bounds.heartbeats && isHeartbeatNews(state)))
      steps.push(heartbeat(state, context, visible))
  }
  if (!canStartAgain(state)) return steps
  const acknowledged = acknowledgedPosition(tracker, context)
  if (acknowledged > primary.slot) {
    // Nothing before a position that was visible can still be on its way: the slot is like any other from here on.
    const next = { ...state, primary: { ...primary, slot: acknowledged, unsettled: false } }
    steps.push({ label: `the tracker acknowledges ${acknowledged}`, next })
  } else if (primary.unsettled && tracker.visible >= primary.slot) {
    steps.push({
      label: 'the tracker notes that the new slot is settled',
      next: { ...state, primary: { ...primary, unsettled: false } },
    })
  }
  return steps
}

/** Whether anybody will ever ask what the slot holds. */
export function canStartAgain({ tracker, left }: State): boolean {
  return !tracker.isUp || left.restarts + left.lostSlots + left.crashes > 0
}

/** Whether anybody will ever ask for a visible position: fills, answers that are held, a tracker that acknowledges. */
export function isVisibleOfUse(state: State, { bounds }: Scenario): boolean {
  return state.left.fills > 0 || bounds.replica || canStartAgain(state)
}

/** A message that tells nothing new still shows a receiver that it has missed something. */
function isHeartbeatNews({ tracker, clones }: State): boolean {
  return clones.some(({ queue, watermark, epoch }) => {
    const last = queue.at(-1)
    return last === undefined
      ? watermark < tracker.published || epoch !== tracker.epoch
      : last.to < tracker.published || last.epoch !== tracker.epoch
  })
}

/** Bound: so many messages are on their way to one clone. */
function hasRoom(state: State, { scenario }: Context): boolean {
  return state.clones.every((clone) => clone.queue.length < scenario.bounds.inFlight)
}

/** All queues get it; what a receiver loses is lost there. */
function send(state: State, message: Message): State['clones'] {
  return state.clones.map((clone) =>
    // A joiner that has loaded a filter and not subscribed yet: a breach.
    clone.stage === 'joining' && clone.epoch > 0 ? clone : { ...clone, queue: [...clone.queue, message] },
  )
}

function describe({ epoch, from, to, rows, visible }: Message): string {
  return `(${from}, ${to}] changed "${rows}", visible ${visible}${epoch === 1 ? '' : `, epoch ${epoch}`}`
}

function publishCommit(state: State, context: Context): Step<State> {
  const { tracker, primary } = state
  const from = tracker.published
  const id = primary.log[from] ?? ''
  const isAtOnce = context.commits('10: what is received counts as visible')
  const visible = isAtOnce ? from + 1 : tracker.visible
  const message = {
    epoch: tracker.epoch,
    from,
    to: from + 1,
    rows: sentRow(primary, id, context),
    visible,
    joined: primary.joined,
  }
  return {
    label: `the tracker publishes commit ${id}: ${describe(message)}`,
    next: {
      ...state,
      clones: send(state, message),
      tracker: { ...tracker, published: from + 1, visible },
    },
  }
}

/** A change is sent if its table was in the publication when the row was changed. */
function sentRow({ unsent }: Primary, id: string, context: Context): string {
  return unsent.includes(id) ? '' : rowOf(id, context)
}

/**
 * The table joins under a lock that waits for everybody who has changed it, and is covered from the position behind
 * that lock.
 */
function joinSteps(state: State, context: Context): Step<State>[] {
  const { primary, tracker } = state
  if (primary.joined >= 0 || !hasRoom(state, context)) return []
  const { writes } = context.scenario.bounds
  const isLocked = writes.some(({ row }, index) => row === 'x' && 'oc'.includes(state.writes[index] ?? '-'))
  if (isLocked && !context.commits('11: a table joins without waiting for open writers')) return []
  const joined = primary.log.length
  const { epoch, published, visible } = tracker
  const message = { epoch, from: published, to: published, rows: '', visible, joined }
  return [
    {
      label: `the table of row x joins the publication, covered from ${joined}`,
      next: { ...state, primary: { ...primary, joined }, clones: send(state, message) },
    },
  ]
}

function heartbeat(state: State, context: Context, visible: number): Step<State> {
  const { tracker, primary } = state
  const from = tracker.published
  const to = context.commits('8: the watermark follows the position of the server') ? primary.log.length : from
  const message = { epoch: tracker.epoch, from, to, rows: '', visible, joined: primary.joined }
  return {
    label: `the tracker polls a snapshot, and publishes a heartbeat: ${describe(message)}`,
    next: { ...state, clones: send(state, message), tracker: { ...tracker, visible } },
  }
}

/** The end below the first commit that it knows of and that a snapshot does not show. */
function pollVisible({ tracker, primary }: State, context: Context): number {
  if (context.commits('10: what is received counts as visible')) return tracker.published
  return Math.max(tracker.visible, visibleEnd(primary, tracker))
}

function visibleEnd(primary: Primary, tracker: Tracker): number {
  for (const id of primary.invisible) {
    const start = primary.log.indexOf(id)
    if (start >= tracker.start && start < tracker.published) return start
  }
  return tracker.published
}

function acknowledgedPosition({ published, visible }: Tracker, context: Context): number {
  return context.commits('9: the tracker acknowledges what it has published') ? published : Math.min(published, visible)
}

/**
 * Begins at what the slot holds. All before that was visible when it was acknowledged; only a slot that is new has
 * commits before its start that may still be invisible, and of which no stream will ever tell.
 */
function start(state: State, context: Context, label = 'the tracker starts'): Step<State> {
  const { primary } = state
  const isPlusOne = context.commits('1: the tracker acknowledges the end of a commit, plus one') && primary.slot > 0
  const skipped = isPlusOne && primary.slot < primary.log.length ? 1 : 0
  const believes =
    !primary.unsettled || context.commits('10: a new slot begins as if everything before it were visible')
  const tracker = {
    isUp: true,
    epoch: context.commits('4: epochs are not compared') ? 1 : primary.epoch,
    start: believes ? primary.slot : 0,
    published: primary.slot,
    visible: believes ? primary.slot : 0,
  }
  const next = { ...state, tracker }
  if (skipped === 0) return { label: `${label} at ${primary.slot} of epoch ${primary.epoch}`, next }
  // The server skips every commit that starts before what was acknowledged: here the adjacent one.
  const { epoch, visible } = tracker
  const message = { epoch, from: primary.slot, to: primary.slot + 1, rows: '', visible, joined: primary.joined }
  return {
    label: `${label} at ${primary.slot}, and is not sent the commit that begins there`,
    next: { ...next, tracker: { ...tracker, published: primary.slot + 1 }, clones: send(state, message) },
  }
}

/** It dies, or it is taken for dead: then it may wake up later with commits that it had received. */
function restartSteps(state: State, context: Context): Step<State>[] {
  const { tracker, primary, left } = state
  if (!tracker.isUp || left.restarts === 0) return []
  const died = { ...state, left: spend(state, 'restarts') }
  const steps = [start(died, context, 'the tracker dies, and another starts')]
  if (left.woken === 0) return steps
  for (let to = tracker.published + 1; to <= primary.log.length; to++) {
    const commits = primary.log.slice(tracker.published, to)
    const woken = { epoch: tracker.epoch, from: tracker.published, commits, visible: tracker.visible }
    const stopped = { ...died, woken, left: { ...died.left, woken: left.woken - 1 } }
    steps.push(start(stopped, context, `the tracker is stopped with "${commits}" in memory, and another starts`))
  }
  return steps
}

/** The slot is lost, and made anew at the end of the log, whether or not all of that is visible yet. */
function lostSlotSteps(state: State, context: Context): Step<State>[] {
  const { primary, left } = state
  if (left.lostSlots === 0) return []
  const next = {
    ...state,
    primary: { ...primary, slot: primary.log.length, unsettled: true },
    left: spend(state, 'lostSlots'),
  }
  return [start(next, context, 'the slot is lost and made anew, the tracker starts')]
}

function wokenSteps(state: State, context: Context): Step<State>[] {
  const { woken } = state
  if (woken === null || !hasRoom(state, context)) return []
  const id = woken.commits[0] ?? ''
  if (id === '') return [{ label: 'the woken tracker ends', next: { ...state, woken: null } }]
  const { epoch, from, visible } = woken
  const rows = sentRow(state.primary, id, context)
  const message = { epoch, from, to: from + 1, rows, visible, joined: state.primary.joined }
  const rest = woken.commits.slice(1)
  return [
    {
      label: `the woken tracker publishes commit ${id}: ${describe(message)}`,
      next: {
        ...state,
        clones: send(state, message),
        woken: rest === '' ? null : { ...woken, from: from + 1, commits: rest },
      },
    },
  ]
}
