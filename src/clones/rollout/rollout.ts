/**
 * One rollout: the new build beside the old one, looked at before anybody is sent there, then the readers, all at once
 * or a share at a time, and at last the end of the old one. Until the old build is given up, anything that goes wrong
 * leads back to it; after that there is only one build.
 *
 * Every step is written down before a balancer hears of it. The order of builds is the order of their ordinals: going
 * back means that the old files are admitted again under a new, greater ordinal, for all readers in one step.
 */

import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { shortBuildId } from '../build/build-id.ts'
import type { Admission } from '../protocol.ts'
import type { Routes } from '../routing.ts'
import type { Member } from '../slot.ts'
import type { GroupOptions, Supervisor } from '../supervisor.ts'
import { guardStaged, watchBuild, type Tolerance } from './watch.ts'

export interface RolloutPlan {
  /** The group of the new build's clones; its `buildId` is the build. */
  readonly group: Omit<GroupOptions, 'count'> & { readonly buildId: string }
  /** Groups that change builds together with the clones: they start beside them, and the old ones end after them. */
  readonly beside?: readonly Omit<GroupOptions, 'count'>[]
  /** The shares of readers, 0 to 1, in the order in which they are moved; the last is 1. */
  readonly shares: readonly number[]
  /** How long each share is watched. 0 with the one share 1: at once, and no way back. */
  readonly holdMs: number
  readonly tolerance: Tolerance
}

export interface RolloutParts {
  readonly supervisor: Supervisor
  readonly routes: Routes
  /** Writes down what is about to be published. */
  readonly record: (admission: Admission, takenBack?: string) => void
  /** Changes of the databases that the old build can live with. */
  readonly expand: () => Promise<void>
  /** Those that it cannot: called when it is gone. */
  readonly contract: () => Promise<void>
  /** Warms a clone and looks whether it answers. */
  readonly check: (member: Member) => Promise<void>
  readonly say: (text: string) => void
}

/**
 * Rolls a build out; resolves when it alone serves.
 *
 * @param signal calls it off, as long as there is a way back
 * @throws FF_ROLLOUT_FAILED, and then the build before it serves, unless the message says otherwise
 */
export async function rollOut(parts: RolloutParts, plan: RolloutPlan, signal: AbortSignal): Promise<void> {
  const { supervisor, routes, say } = parts
  const { kind, buildId } = plan.group
  const before = routes.admission
  if (before === undefined) throw new FourfoldError('FF_ROLLOUT_REFUSED', 'this system does not know builds')
  const next = { id: buildId, ordinal: before.current.ordinal + 1 }
  const move = async (admission: Admission): Promise<void> => {
    parts.record(admission)
    await routes.admit(admission)
  }
  const trouble = new AbortController()
  const either = AbortSignal.any([signal, trouble.signal])
  const stopGuarding = guardStaged(supervisor, kind, buildId, trouble)
  let shown = false
  try {
    await parts.expand()
    either.throwIfAborted()
    await move({ current: before.current, next, share: 0 })
    say(`starting build ${shortBuildId(buildId)} beside ${shortBuildId(before.current.id)}`)
    await supervisor.stage(plan.group)
    for (const group of plan.beside ?? []) await supervisor.stage(group)
    await checkAll(parts, supervisor.staged(kind), either)
    for (const share of plan.shares) {
      if (share === 1 && plan.holdMs === 0) break
      shown = true
      await move({ current: before.current, next, share })
      say(`${formatShare(share)} of the readers are on build ${shortBuildId(buildId)}`)
      await watchShare(parts, plan, before, either)
    }
    either.throwIfAborted()
    stopGuarding()
    // The last step that may fail: one that cannot be written down was told to no balancer.
    await move({ current: next, share: 0 })
  } catch (error) {
    stopGuarding()
    await goBack(parts, plan, before, shown ? next : null)
    throw describe(error, buildId)
  }
  await finish(parts, plan)
}

/** There is no way back any more: the old build gets nothing new, answers what it has, and ends. */
async function finish({ supervisor, contract, say }: RolloutParts, plan: RolloutPlan): Promise<void> {
  say('all readers are on the new build; the old one is drained')
  for (const { kind } of [plan.group, ...(plan.beside ?? [])]) await supervisor.promote(kind)
  await contract()
}

/** `shown`: the build that some readers may have seen; for them the way back must be a way on. */
async function goBack(
  { supervisor, routes, record, say }: RolloutParts,
  plan: RolloutPlan,
  { current }: Admission,
  shown: Admission['current'] | null,
): Promise<void> {
  const back = shown === null ? current : { id: current.id, ordinal: shown.ordinal + 1 }
  try {
    record({ current: back, share: 0 }, shown?.id)
  } catch (error) {
    // The readers must not wait for a disc that is full; a start after a crash now goes back by itself all the same.
    say(`the way back could not be written down: ${String(error)}`)
  }
  await routes.admit({ current: back, share: 0 })
  if (shown !== null) say(`all readers are on build ${shortBuildId(current.id)} again`)
  for (const { kind } of [plan.group, ...(plan.beside ?? [])]) await supervisor.discard(kind)
}

async function checkAll({ check, say }: RolloutParts, members: readonly Member[], signal: AbortSignal): Promise<void> {
  say(`checking ${members.map(({ id }) => id).join(', ')}`)
  signal.throwIfAborted()
  const calledOff = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  calledOff.catch(() => undefined)
  await Promise.race([Promise.all(members.map(check)), calledOff])
}

async function watchShare(
  { routes, say }: RolloutParts,
  { group, holdMs, tolerance }: RolloutPlan,
  { current }: Admission,
  signal: AbortSignal,
): Promise<void> {
  const seen = await watchBuild({ routes, old: current.id, fresh: group.buildId, holdMs, tolerance, signal })
  say(`${seen.requests} requests, ${seen.errors} of them failed`)
}

function formatShare(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}

function describe(error: unknown, build: string): FourfoldError {
  if (isFourfoldError(error, 'FF_ROLLOUT_FAILED')) return error
  const reason = error instanceof Error ? error.message : String(error)
  const message = `build ${shortBuildId(build)} is not in service, the build before it goes on: ${reason}`
  const fields = { build, reason: isFourfoldError(error) ? error.code : undefined }
  return new FourfoldError('FF_ROLLOUT_FAILED', message, { cause: error, fields })
}
