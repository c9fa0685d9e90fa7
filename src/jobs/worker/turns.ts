/**
 * When a worker asks for jobs, and for which: when it is told of some, when it has room and there may be more, when one is
 * due, and every second in any case.
 */

import type { Claim, JobEngine, LimitedName } from '../engine.ts'
import type { JobPolicy } from '../policy.ts'
import type { Logger } from '../../core/log.ts'

export interface TurnsOptions {
  readonly engine: JobEngine
  readonly jobs: ReadonlyMap<string, { readonly policy: JobPolicy }>
  /** How many may be taken now. */
  readonly room: () => number
  /** The same of those whose rate is limited: what is taken counts as begun, so none is taken far ahead. */
  readonly roomForRated: () => number
  /** The same of those that run in threads: one that waits for a thread would keep a place from others, and itself from other workers. */
  readonly roomForThreads: () => number
  /** Not while a heartbeat is under way. */
  readonly locked: <T>(work: () => Promise<T>) => Promise<T>
  /** In whose name. */
  readonly worker: () => Promise<string>
  readonly took: (claims: readonly Claim[], worker: string) => void
  readonly log: Logger
}

const firstRetryMs = 100
const lastRetryMs = 2_000
const pausedForMs = 1_000
/** Of a name that there is something of: few are asked for more cheaply than many. */
const mostCalled = 16

export class Turns {
  /** How long it waits at most until it asks again. */
  pollMs = 1_000
  readonly #options: TurnsOptions
  readonly #plain: readonly string[]
  readonly #threaded: readonly string[]
  readonly #limited: ReadonlyMap<string, LimitedName & Pick<JobPolicy, 'thread'>>
  #paused: { readonly names: ReadonlySet<string>; readonly atMs: number } | null = null
  /** Whether there may be some that nobody has taken. */
  #more = true
  /** Whether some wait for nothing but a place. */
  #held = false
  #dueAtMs = -Infinity
  #againAtMs = Infinity
  /** When it last asked for all names. */
  #askedAtMs = -Infinity
  /** Names that there is something of. All others were asked for since there was. */
  readonly #called = new Set<string>()
  /** Which kind has its turn first. */
  #first = 0
  /** Of those that are limited, the last that something was taken of: the others come first. */
  #last: string | null = null
  #wake = Promise.withResolvers<void>()
  #stopped = false
  #running: Promise<void> | null = null
  #chores: Promise<void> | null = null

  constructor(options: TurnsOptions) {
    this.#options = options
    const policies = [...options.jobs.values()].map(({ policy }) => policy)
    const isLimited = ({ limit, perKey, rate }: JobPolicy): boolean =>
      limit !== null || perKey !== null || rate !== null
    const namesOf = (thread: boolean): readonly string[] =>
      policies.filter((policy) => !isLimited(policy) && policy.thread === thread).map(({ name }) => name)
    this.#plain = namesOf(false)
    this.#threaded = namesOf(true)
    this.#limited = new Map(policies.filter(isLimited).map((policy) => [policy.name, policy]))
  }

  start(pollMs: number): void {
    this.pollMs = pollMs
    this.#running ??= this.#loop()
  }

  /**
   * @param more whether there may be jobs that were not there before; else there is only room
   * @param due whether one may be due that was not known of
   */
  wake(more: boolean, due = false): void {
    this.#more ||= more
    if (due) this.#dueAtMs = -Infinity
    if (more || this.#more || this.#held || this.#called.size > 0) this.#wake.resolve()
  }

  /** There may be jobs of these names that were not there before, and none of others that anybody knows of. */
  call(names: readonly string[]): void {
    for (const name of names) {
      if (this.#isApart(name)) this.#more = true
      else if (this.#plain.includes(name)) this.#called.add(name)
    }
    if (this.#more || this.#called.size > 0) this.#wake.resolve()
  }

  /** One has ended here: another of its name may have been held back by it. @param again whether it is tried again */
  ended(name: string, again: boolean): void {
    if (again || this.#isApart(name)) this.wake(true, again)
  }

  /** Whether not all that waits may be taken where there is room. */
  #isApart(name: string): boolean {
    return this.#limited.has(name) || this.#threaded.includes(name)
  }

  forgetPaused(): void {
    this.#paused = null
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake.resolve()
    await this.#running
    await this.#chores
  }

  async #loop(): Promise<void> {
    let retryMs = firstRetryMs
    while (!this.#stopped) {
      try {
        await this.#turn()
        retryMs = firstRetryMs
      } catch (error) {
        this.#options.log.debug({ error }, 'jobs could not be asked for: trying again')
        this.#more = true
        await this.#rest(retryMs)
        retryMs = Math.min(lastRetryMs, 2 * retryMs)
        continue
      }
      if ((this.#more || this.#called.size > 0) && this.#options.room() > 0) continue
      await this.#rest(this.#restMs())
    }
  }

  /** Without room nothing is of use before some is free. */
  #restMs(): number {
    if (this.#options.room() <= 0) return this.pollMs
    const nextMs = Math.min(this.#dueAtMs, this.#againAtMs) - performance.now()
    return Math.max(1, Math.min(this.pollMs, nextMs))
  }

  async #turn(): Promise<void> {
    if (this.#options.room() <= 0) return
    const paused = this.#paused?.names ?? (await this.#readPaused())
    const called = [...this.#called]
    this.#called.clear()
    // However often some are called for: what nobody calls for is found by asking.
    const isTime = performance.now() >= Math.min(this.#againAtMs, this.#askedAtMs + this.pollMs)
    const isCalled = called.length > 0 && !this.#more && !isTime
    await (isCalled ? this.#takeCalled(called, paused) : this.#takeAny(paused))
    this.#beginChores()
  }

  async #takeCalled(called: readonly string[], paused: ReadonlySet<string>): Promise<void> {
    const { room, locked, worker } = this.#options
    for (const name of called.filter((one) => !paused.has(one))) {
      if (room() > 0 && !this.#stopped) await locked(async () => await this.#claim(await worker(), [name], mostCalled))
      else this.#more = true
    }
  }

  async #takeAny(paused: ReadonlySet<string>): Promise<void> {
    const { room, locked, worker: name } = this.#options
    this.#askedAtMs = performance.now()
    this.#more = false
    this.#held = false
    this.#againAtMs = Infinity
    // Asked inside: a heartbeat that came first may have found that it is another one's name by now.
    const steps = [
      async () => await this.#claimPlain(await name(), paused),
      async () => await this.#claimLimited(await name(), paused),
      async () => await this.#claimThreaded(await name(), paused),
    ]
    // In turn, so that no kind takes all the room for ever.
    this.#first = (this.#first + 1) % steps.length
    for (const step of [...steps.slice(this.#first), ...steps.slice(0, this.#first)]) {
      if (room() > 0 && !this.#stopped) await locked(step)
      else this.#more = true
    }
  }

  /** What is due, and what is paused: beside the claims, so that what waits already waits for none of it. */
  #beginChores(): void {
    const nowMs = performance.now()
    const isDue = nowMs >= this.#dueAtMs
    const isOld = nowMs - (this.#paused?.atMs ?? nowMs) > pausedForMs
    if (this.#chores !== null || (!isDue && !isOld)) return
    this.#chores = this.#doChores(isDue, isOld).finally(() => {
      this.#chores = null
      // When to ask next is known now.
      this.#wake.resolve()
    })
  }

  async #doChores(isDue: boolean, isOld: boolean): Promise<void> {
    // Until it is known; whoever is told of one meanwhile says so.
    if (isDue) this.#dueAtMs = Infinity
    let nextMs: number | null = lastRetryMs
    try {
      if (isOld) await this.#readPaused()
      if (isDue) nextMs = await this.#moveDue()
    } catch (error) {
      this.#options.log.debug({ error }, 'what is due, or paused, could not be asked for: trying again')
    }
    if (isDue) this.#dueAtMs = Math.min(this.#dueAtMs, performance.now() + Math.min(nextMs ?? Infinity, this.pollMs))
  }

  async #moveDue(): Promise<number | null> {
    const { moved, nextMs } = await this.#options.engine.due()
    if (moved > 0) this.#more = true
    return nextMs
  }

  async #claimPlain(worker: string, paused: ReadonlySet<string>): Promise<void> {
    const names = this.#plain.filter((name) => !paused.has(name))
    if (names.length > 0) await this.#claim(worker, names)
  }

  async #claimThreaded(worker: string, paused: ReadonlySet<string>): Promise<void> {
    const names = this.#threaded.filter((name) => !paused.has(name))
    if (names.length > 0) await this.#claim(worker, names, this.#options.roomForThreads())
  }

  async #claim(worker: string, names: readonly string[], atMost = Infinity): Promise<void> {
    const { engine, room, took } = this.#options
    const most = Math.min(room(), atMost)
    if (most <= 0) return
    const { claims, more } = await engine.claim(worker, names, most)
    this.#more ||= more
    took(claims, worker)
  }

  async #claimLimited(worker: string, paused: ReadonlySet<string>): Promise<void> {
    const { engine, room, roomForRated, roomForThreads, took } = this.#options
    const names = [...this.#limited.keys()].filter((name) => !paused.has(name))
    const waiting = new Set(names.length === 0 ? [] : await engine.waitingAmong(names))
    for (const name of this.#inTurn().filter((one) => waiting.has(one))) {
      const most = room()
      if (most <= 0) {
        this.#more = true
        return
      }
      const limits = this.#limited.get(name)!
      const rated = limits.rate === null ? most : Math.min(most, roomForRated())
      const within = limits.thread ? Math.min(rated, roomForThreads()) : rated
      if (within <= 0) {
        this.#held = true
        continue
      }
      const { claims, againMs } = await engine.claimLimited(worker, limits, within)
      if (againMs !== null) this.#againAtMs = Math.min(this.#againAtMs, performance.now() + againMs)
      this.#more ||= claims.length === within
      if (claims.length > 0) this.#last = name
      took(claims, worker)
    }
  }

  /** Those that are limited, beginning behind the last: a backlog of one takes all the room whenever it comes first. */
  #inTurn(): readonly string[] {
    const names = [...this.#limited.keys()]
    const next = names.indexOf(this.#last ?? '') + 1
    return [...names.slice(next), ...names.slice(0, next)]
  }

  async #readPaused(): Promise<ReadonlySet<string>> {
    const names = new Set(await this.#options.engine.paused())
    this.#paused = { names, atMs: performance.now() }
    return names
  }

  /** Until it is woken, and for at most so long. */
  async #rest(ms: number): Promise<void> {
    if (this.#stopped) return
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#more = true
        resolve()
      }, ms)
    })
    await Promise.race([this.#wake.promise, over])
    clearTimeout(timer)
    this.#wake = Promise.withResolvers()
  }
}
