/**
 * Runs in browsers: waits until a job is finished, and tells how far it is. By Server-Sent Events; where those do not get
 * through, or nothing has come for a while, it asks.
 */

interface JobEvent {
  readonly data: string
}

interface Events {
  readonly readyState: number
  addEventListener(event: string, listener: (event: JobEvent) => void): void
  close(): void
}

declare const EventSource: (new (address: string, options: { withCredentials: boolean }) => Events) | undefined

/** How a job stands. */
export interface JobState<Output = unknown> {
  readonly id: string
  readonly name: string
  readonly state: 'scheduled' | 'waiting' | 'running' | 'failed' | 'done' | 'cancelled'
  readonly version: number
  /** 0 to 1. */
  readonly progress?: number
  readonly message?: string
  /** Of a job that is done. */
  readonly output?: Output
  /** Of one that has failed. */
  readonly error?: string
}

/** What comes of a contract's job: of the type that `defineJob` answers. */
export type JobOutput<Contract> = Contract extends {
  readonly output?:
    | { readonly '~standard': { readonly types?: { readonly input: infer Output } | undefined } }
    | undefined
}
  ? Output
  : unknown

export interface WaitForJobOptions<Output = unknown> {
  /** Called with each newer state, the last one included. */
  readonly onProgress?: (state: JobState<Output>) => void
  /** Ends the waiting. The job goes on. */
  readonly signal?: AbortSignal
}

/**
 * Waits for the job at an address: what a `202` names in `Location`.
 *
 * @returns its last state, with the output
 * @throws an error with the job's `state` where it has failed or was cancelled, `404` as its `state` where there is none; the
 * signal's reason
 * @example const { output } = await waitForJob<typeof exportPosts>('/jobs/42', { onProgress })
 */
export function waitForJob<Contract = unknown>(
  address: string,
  options: WaitForJobOptions<JobOutput<Contract>> = {},
): Promise<JobState<JobOutput<Contract>>> {
  const { onProgress, signal } = options
  return new Promise((resolve, reject) => {
    let version = -1
    let quietMs = 2_000
    let timer: ReturnType<typeof setTimeout> | undefined
    let events: Events | null = null
    let asking: AbortController | undefined
    const end = (settle: () => void): void => {
      version = Infinity
      clearTimeout(timer)
      events?.close()
      asking?.abort()
      signal?.removeEventListener('abort', abort)
      settle()
    }
    const fail = (message: string, state: unknown): void =>
      end(() => reject(Object.assign(new Error(message), { state })))
    const abort = (): void => end(() => reject(signal?.reason as Error))
    const hear = (state: JobState<JobOutput<Contract>>): void => {
      const isDone = state.state === 'done'
      const isLost = state.state === 'failed' || state.state === 'cancelled'
      // What is final counts whatever was told before: the database may have been put back to an earlier time.
      if (version === Infinity || (state.version <= version && !isDone && !isLost)) return
      version = state.version
      if (isDone) end(() => resolve(state))
      else if (isLost) fail(state.error ?? 'cancelled', state.state)
      // Behind what decides: it is the page's, and may throw.
      onProgress?.(state)
    }
    const ask = async (): Promise<void> => {
      asking?.abort()
      asking = new AbortController()
      timer = setTimeout(() => asking?.abort(), 10_000)
      try {
        const answer = await fetch(address, {
          headers: { accept: 'application/json' },
          // As the events are asked for.
          credentials: 'include',
          signal: asking.signal,
        })
        if (answer.status === 404) return fail('There is no such job', 404)
        if (answer.ok) hear((await answer.json()) as JobState<JobOutput<Contract>>)
      } catch {
        // The network is away, or the clone, or neither says anything: later.
      }
      // Longer each time, for what takes long.
      quietMs = Math.min(15_000, quietMs * 1.5)
      if (version < Infinity) listen()
    }
    const listen = (): void => {
      clearTimeout(timer)
      // Closed for good by an answer that was no stream, or never there.
      if (events?.readyState !== 0 && events?.readyState !== 1 && typeof EventSource === 'function') {
        events?.close()
        events = new EventSource(`${address}/events`, { withCredentials: true })
        for (const name of ['progress', 'done']) {
          events.addEventListener(name, ({ data }) => {
            hear(JSON.parse(data) as JobState<JobOutput<Contract>>)
            if (version < Infinity) listen()
          })
        }
      }
      timer = setTimeout(() => void ask(), quietMs)
    }
    if (signal?.aborted === true) return abort()
    signal?.addEventListener('abort', abort)
    listen()
  })
}

/** The same as a module for pages without a bundler: serve it as `text/javascript`, and import `waitForJob` from there. */
export const jobsModule: string = `export ${waitForJob.toString()}\n`
