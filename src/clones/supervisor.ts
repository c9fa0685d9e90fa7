/**
 * Starts and watches the processes of one host. It knows groups of like processes and nothing of what they do: what
 * must happen around a process's life (a balancer that has to stop sending to a clone first) is hooked in.
 *
 * Groups start in the order they are run and stop in reverse. Once a group is up, a member that ends is started again
 * for as long as the supervisor lives; during `run` a member that does not start is an error, because then it is
 * the configuration or the app that is wrong.
 *
 * A group may have a second generation beside the one that serves: the same processes of another build. It is staged,
 * and then either promoted (the first one stops) or discarded. A change of the count is a change of both.
 */

import { FourfoldError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { createBackoff, type BackoffOptions } from './backoff.ts'
import type { ProcessExit, ProcessSpec } from './process.ts'
import { createSlot, type HealthOptions, type Member, type Slot } from './slot.ts'

export interface GroupOptions {
  /** `clone`, `balancer`, `store`. */
  readonly kind: string
  readonly count: number
  /** The process at a place, counted from 1. Asked for at every start. */
  readonly spec: (index: number) => Omit<ProcessSpec, 'name'>
  /** Whether old and new may live side by side during a restart. False for a process with a fixed port. Default: true. */
  readonly together?: boolean
  /** The build that every member must say it is; one that says another is quarantined. Default: any. */
  readonly buildId?: string
}

export interface SupervisorOptions {
  readonly log: Logger
  readonly health?: Partial<HealthOptions>
  readonly backoff?: BackoffOptions
  /** A process that lived so long makes the next restart quick again. Default: 10,000. */
  readonly settledMs?: number
}

export type SupervisorEvent =
  | { readonly type: 'state'; readonly member: Member; readonly exit?: ProcessExit }
  | {
      readonly type: 'restart'
      readonly kind: string
      readonly name: string
      readonly delayMs: number
      readonly error?: unknown
    }

export interface Supervisor {
  /** Starts a group; resolves when every member is ready. */
  run(group: GroupOptions): Promise<void>
  /** Starts or stops members until there are so many. */
  setCount(kind: string, count: number): Promise<void>
  /** Replaces every member, one after the other. */
  restart(kind: string): Promise<void>
  /** Starts a second generation of the group, with as many members as the first; resolves when all are ready. */
  stage(group: Omit<GroupOptions, 'count'>): Promise<void>
  /** The second generation becomes the group, and the first is stopped. */
  promote(kind: string): Promise<void>
  /** Stops the second generation. */
  discard(kind: string): Promise<void>
  /** The processes of the second generation that live. */
  staged(kind: string): Member[]
  /** The processes that live, of one kind or of all. */
  members(kind?: string): Member[]
  /** How many processes were quarantined since the start. */
  quarantined(): number
  /** Hears every change; call the result to stop hearing. */
  subscribe(listener: (event: SupervisorEvent) => void): () => void
  /** Runs before a ready member of this kind is told to stop; the stop waits for it. */
  beforeStop(kind: string, hook: (member: Member) => Promise<void>): void
  /** Stops everything, the group that was started last first. May be called twice. */
  stop(): Promise<void>
}

interface Generation {
  readonly options: Omit<GroupOptions, 'count'>
  slots: Slot[]
}

interface Group {
  current: Generation
  staged: Generation | null
  count: number
  /** Changes to one group happen one after the other. */
  queue: Promise<unknown>
}

const defaultHealth: HealthOptions = { intervalMs: 1000, answerMs: 1500, killMs: 10_000 }

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const groups = new Map<string, Group>()
  const listeners = new Set<(event: SupervisorEvent) => void>()
  const hooks = new Map<string, (member: Member) => Promise<void>>()
  let stopped: Promise<void> | undefined

  let quarantined = 0
  const emit = (event: SupervisorEvent): void => {
    if (event.type === 'state' && event.member.state === 'quarantined') quarantined += 1
    logEvent(options.log, event)
    for (const listener of listeners) listener(event)
  }

  const starts = new Map<string, number>()
  const countStart = (name: string): number => {
    const count = (starts.get(name) ?? 0) + 1
    starts.set(name, count)
    return count
  }

  const makeSlot = (group: Generation['options'], index: number): Slot =>
    createSlot({
      kind: group.kind,
      index,
      buildId: group.buildId,
      countStart,
      spec: () => group.spec(index),
      health: { ...defaultHealth, ...options.health },
      backoff: createBackoff(options.backoff),
      settledMs: options.settledMs ?? 10_000,
      onChange: (member, exit) => emit({ type: 'state', member, exit }),
      onRestart: (name, delayMs, error) => emit({ type: 'restart', kind: group.kind, name, delayMs, error }),
      beforeStop: async (member) => hooks.get(group.kind)?.(member),
    })

  const groupOf = (kind: string): Group => {
    const group = groups.get(kind)
    if (group === undefined) throw new FourfoldError('FF_CLONES_START', `no group of kind "${kind}" was started`)
    return group
  }

  const inTurn = (group: Group, change: () => Promise<void>): Promise<void> => {
    const turn = group.queue.then(() => (stopped === undefined ? change() : undefined))
    group.queue = turn.catch(() => undefined)
    return turn
  }

  const resize = async (generation: Generation, count: number): Promise<void> => {
    const surplus = generation.slots.slice(count)
    generation.slots = generation.slots.slice(0, count)
    const fresh: Slot[] = []
    for (let index = generation.slots.length + 1; index <= count; index += 1) {
      fresh.push(makeSlot(generation.options, index))
    }
    generation.slots.push(...fresh)
    const results = await Promise.allSettled([
      ...surplus.map((slot) => slot.stop()),
      ...fresh.map((slot) => slot.start()),
    ])
    const failed = results.find((result) => result.status === 'rejected')
    if (failed === undefined) return
    generation.slots = generation.slots.filter((slot) => !fresh.includes(slot))
    await Promise.all(fresh.map((slot) => slot.stop()))
    throw failed.reason
  }

  const setCount = async (group: Group, count: number): Promise<void> => {
    await Promise.all(generationsOf(group).map((generation) => resize(generation, count)))
    group.count = count
  }

  /** A second generation that does not start leaves nothing behind. */
  const stage = async (group: Group, options: Generation['options']): Promise<void> => {
    if (group.staged !== null) throw new FourfoldError('FF_CLONES_START', `${options.kind} has two generations already`)
    const generation: Generation = { options, slots: [] }
    group.staged = generation
    try {
      await resize(generation, group.count)
    } catch (error) {
      group.staged = null
      throw error
    }
  }

  const promote = async (group: Group): Promise<void> => {
    const { current, staged } = group
    if (staged === null) return
    group.current = staged
    // Until it has stopped it is still looked after as a generation of this group.
    group.staged = current
    await discard(group)
  }

  const discard = async (group: Group): Promise<void> => {
    const { staged } = group
    if (staged === null) return
    await Promise.all(staged.slots.map((slot) => slot.stop()))
    group.staged = null
  }

  const members = (kind?: string): Member[] =>
    [...groups.entries()]
      .filter(([of]) => kind === undefined || of === kind)
      .flatMap(([, group]) => generationsOf(group).flatMap(membersOf))

  const stopAll = async (): Promise<void> => {
    // Whoever does not wait for the end of this (a second Ctrl-C) leaves nothing behind either.
    const killAll = (): void => members().forEach((member) => void member.process.kill())
    process.once('exit', killAll)
    for (const group of [...groups.values()].reverse()) {
      await Promise.all(generationsOf(group).flatMap(({ slots }) => slots.map((slot) => slot.stop())))
      await group.queue
    }
    process.off('exit', killAll)
  }

  return {
    run: (group) => {
      if (groups.has(group.kind))
        throw new FourfoldError('FF_CLONES_START', `a group of kind "${group.kind}" runs already`)
      const current: Generation = { options: group, slots: [] }
      const entry: Group = { current, staged: null, count: group.count, queue: Promise.resolve() }
      groups.set(group.kind, entry)
      return inTurn(entry, () => resize(current, group.count))
    },
    setCount: (kind, count) => inTurn(groupOf(kind), () => setCount(groupOf(kind), count)),
    restart: (kind) =>
      inTurn(groupOf(kind), async () => {
        const { slots, options: group } = groupOf(kind).current
        for (const slot of slots) {
          if (stopped !== undefined) return
          await slot.replace(group.together ?? true)
        }
      }),
    stage: (group) => inTurn(groupOf(group.kind), () => stage(groupOf(group.kind), group)),
    promote: (kind) => inTurn(groupOf(kind), () => promote(groupOf(kind))),
    discard: (kind) => inTurn(groupOf(kind), () => discard(groupOf(kind))),
    staged: (kind) => {
      const generation = groupOf(kind).staged
      return generation === null ? [] : membersOf(generation)
    },
    members,
    quarantined: () => quarantined,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    beforeStop: (kind, hook) => void hooks.set(kind, hook),
    stop: () => (stopped ??= stopAll()),
  }
}

function generationsOf({ current, staged }: Group): Generation[] {
  return staged === null ? [current] : [current, staged]
}

function membersOf({ slots }: Generation): Member[] {
  return slots.flatMap((slot) => slot.members())
}

function logEvent(log: Logger, event: SupervisorEvent): void {
  if (event.type === 'restart') {
    const { name, delayMs, error } = event
    log.warn({ process: name, delayMs, error }, `${name} is started again in ${delayMs} ms`)
    return
  }
  const { member, exit } = event
  const fields = { process: member.id, pid: member.process.pid, ...exit }
  if (member.state === 'unresponsive') log.warn(fields, `${member.id} does not answer; it gets no new requests`)
  else if (member.state === 'quarantined')
    log.error(
      { ...fields, buildId: member.buildId },
      `${member.id} runs another build than it should; it gets no requests`,
    )
  else if (member.state === 'exited')
    log.info(fields, `${member.id} ended with ${exit?.signal ?? `code ${exit?.code}`}`)
  else log.debug(fields, `${member.id} is ${member.state}`)
}
