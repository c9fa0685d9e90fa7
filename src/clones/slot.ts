/**
 * One place in the system that one process fills: the process is started, watched, started again when it ends, and
 * replaced on request by a new one that is ready before the old one is stopped.
 *
 * A process that leaves pings unanswered (stopped, or its event loop hangs) is `unresponsive` at once, so that nobody
 * sends it work, and is killed when that lasts; it is then replaced like one that crashed. One that turns out to run
 * another build than it was started for is `quarantined`: nobody sends it work, and it is replaced. One that somebody
 * else told to end is replaced first and drained then.
 */

import { systemClock } from '../core/clock.ts'
import { FourfoldError, isFourfoldError } from '../core/errors.ts'
import { quarantine } from './build/quarantine.ts'
import type { Backoff } from './backoff.ts'
import { startProcess, type ProcessExit, type ProcessSpec, type RunningProcess } from './process.ts'
import type { HealthMessage, ListenAddress } from './protocol.ts'

export type MemberState = 'starting' | 'ready' | 'unresponsive' | 'quarantined' | 'stopping' | 'exited'

/** One incarnation of a process. */
export interface Member {
  /** Unique in the supervisor: the name and the count of its starts, `clone-2.1`. */
  readonly id: string
  readonly kind: string
  readonly index: number
  readonly process: RunningProcess
  readonly startedAt: number
  state: MemberState
  address?: ListenAddress
  buildId?: string
  health?: HealthMessage
}

export interface HealthOptions {
  /** From one ping to the next. Default: 1,000. */
  readonly intervalMs: number
  /** A ping unanswered for so long makes a process unresponsive. Default: 1,500. */
  readonly answerMs: number
  /** A process unresponsive for so long is killed. Default: 10,000. */
  readonly killMs: number
}

export interface SlotOptions {
  readonly kind: string
  readonly index: number
  /** Asked for at every start, so that settings may change between starts. */
  readonly spec: () => Omit<ProcessSpec, 'name'>
  readonly health: HealthOptions
  readonly backoff: Backoff
  /** A process that was ready for so long makes the next restart begin with the shortest delay again. */
  readonly settledMs: number
  /** The build that its processes must say they are; undefined: none is asked for. */
  readonly buildId?: string
  /** Counts the starts of a name, over all places that ever had it. */
  readonly countStart: (name: string) => number
  /** Hears every change of a member's state, in order. */
  readonly onChange: (member: Member, exit?: ProcessExit) => void
  readonly onRestart: (name: string, delayMs: number, error: unknown) => void
  /** Runs before a ready process is told to stop. */
  readonly beforeStop: (member: Member) => Promise<void>
}

export interface Slot {
  readonly index: number
  /** The processes of this place that live: one, or two during a replacement. */
  members(): Member[]
  /** Resolves when the first process is ready; rejects with FF_CLONES_START, and then nothing is left running. */
  start(): Promise<void>
  /** Starts a new process and stops the old one when the new one is ready (or before, if they cannot live together). */
  replace(together: boolean): Promise<void>
  stop(): Promise<void>
}

export function createSlot(options: SlotOptions): Slot {
  const { kind, index, backoff } = options
  const name = `${kind}-${index}`
  const live = new Set<Member>()
  const closing = new AbortController()
  let replacements = 0
  /** Since which replacement this place is being filled again; null: it is filled. */
  let reviving: number | null = null

  const change = (member: Member, state: MemberState, exit?: ProcessExit): void => {
    member.state = state
    options.onChange(member, exit)
  }

  const launch = async (): Promise<Member> => {
    const process = startProcess({ ...options.spec(), name })
    const id = `${name}.${options.countStart(name)}`
    const member: Member = { id, kind, index, process, startedAt: Date.now(), state: 'starting' }
    live.add(member)
    process.listen((message) => void (message.type === 'leaving' && leave(member)))
    change(member, 'starting')
    void process.exited.then((exit) => {
      live.delete(member)
      change(member, 'exited', exit)
    })
    try {
      const { address, buildId } = await process.ready
      member.address = address
      member.buildId = buildId
      requireBuild(member)
    } catch (error) {
      // It found by itself that it is another build, before it ran any of it.
      if (isFourfoldError(error) && error.fields['code'] === 'FF_CLONES_QUARANTINED') change(member, 'quarantined')
      await process.kill()
      throw error
    }
    if (member.state !== 'starting') throw new FourfoldError('FF_CLONES_START', `${name} was stopped while it started`)
    change(member, 'ready')
    void watchHealth(member, options, change)
    return member
  }

  const requireBuild = (member: Member): void => {
    if (options.buildId === undefined || member.buildId === options.buildId) return
    change(member, 'quarantined')
    throw quarantine(options.buildId, member.buildId ?? '')
  }

  /** Somebody else sent SIGTERM: another process takes its place, and then it may go without losing a request. */
  const leave = async (member: Member): Promise<void> => {
    if (retired.has(member) || closing.signal.aborted) return
    retired.add(member)
    if (member.state === 'starting') return void member.process.stop()
    replacements += 1
    try {
      void follow(await launch())
    } catch (error) {
      void revive(error)
    }
    await retire(member)
  }

  /** Follows a member until somebody wants it to stop, or until its successor has taken over. */
  const follow = async (member: Member): Promise<void> => {
    await member.process.exited
    if (closing.signal.aborted || retired.has(member)) return
    if (Date.now() - member.startedAt > options.settledMs) backoff.reset()
    await revive(null)
  }

  /** Starts a process until one is ready, or until a replacement has made that its own business. */
  const revive = async (cause: unknown): Promise<void> => {
    if (reviving === replacements) return
    const since = (reviving = replacements)
    const over = (): boolean => closing.signal.aborted || since !== replacements
    for (let reason = cause; !over();) {
      const delayMs = backoff.next()
      options.onRestart(name, delayMs, reason)
      await systemClock.sleep(delayMs, closing.signal).catch(() => undefined)
      if (over()) return
      try {
        const member = await launch()
        if (!over()) reviving = null
        return void follow(member)
      } catch (error) {
        reason = error
      }
    }
  }

  const retired = new WeakSet<Member>()
  const retire = async (member: Member): Promise<void> => {
    retired.add(member)
    const serving = member.state === 'ready' || member.state === 'unresponsive'
    if (member.state !== 'exited') change(member, 'stopping')
    if (serving) await options.beforeStop(member).catch(() => undefined)
    await member.process.stop()
  }

  return {
    index,
    members: () => [...live],
    start: async () => {
      void follow(await launch())
    },
    replace: async (together) => {
      replacements += 1
      const before = [...live]
      if (!together) await Promise.all(before.map(retire))
      if (closing.signal.aborted) return
      try {
        void follow(await launch())
      } catch (error) {
        // Where the old one is gone already, this place must not stay empty.
        if (live.size === 0) void revive(error)
        throw error
      }
      if (together) await Promise.all(before.map(retire))
    },
    stop: async () => {
      closing.abort()
      await Promise.all([...live].map(retire))
    },
  }
}

async function watchHealth(
  member: Member,
  { health }: SlotOptions,
  change: (member: Member, state: MemberState) => void,
): Promise<void> {
  const serving = (): boolean => member.state === 'ready' || member.state === 'unresponsive'
  const ended = new AbortController()
  void member.process.exited.then(() => ended.abort())
  let unansweredMs = 0
  while (serving()) {
    const answer = await member.process.ping(health.answerMs)
    if (!serving()) return
    if (answer === null) {
      unansweredMs += health.answerMs
      if (member.state === 'ready') change(member, 'unresponsive')
      if (unansweredMs >= health.killMs) return void member.process.kill()
      continue
    }
    unansweredMs = 0
    member.health = answer
    if (member.state === 'unresponsive') change(member, 'ready')
    await systemClock.sleep(health.intervalMs, ended.signal).catch(() => undefined)
  }
}
