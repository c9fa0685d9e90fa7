/**
 * What keeps jobs: one implementation for each kind of database. All of it is about rows; what runs them is in `worker/`.
 *
 * - Everything is durable when its promise resolves, and takes place as a whole or not at all.
 * - A claim is named by `id`, `worker` and `token`. What a worker says of a claim that is not its own any more changes
 *   nothing and is answered as `lost`.
 * - Times are the database's. No clock of any host decides anything.
 * - A job's `version` rises with everything that can be seen of it from outside.
 * - Rejects with the database's errors; nobody knows then whether it took place, and every call may be made again: what
 *   has taken place is then answered as it was.
 */

/** A request that can be told from others: by its key, and what it asked for. */
export interface NamedRequest {
  readonly owner: string
  readonly key: string
  readonly fingerprint: string
}

/** `busy`: another one with this key is under way; `other`: the key was another order's; `known`: it has ordered this job before. */
export type BegunRequest =
  | { readonly kind: 'new' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'other' }
  | { readonly kind: 'known'; readonly id: string }

export type JobState = 'scheduled' | 'waiting' | 'running' | 'failed' | 'done' | 'cancelled'

/**
 * Runs one statement.
 *
 * @param behind sent on the same connection when the statement has committed, without waiting for anybody; only where the
 *   statement is a transaction of its own
 */
export type RunStatement = (
  text: string,
  values: readonly unknown[],
  behind?: string,
) => Promise<{ readonly rows: readonly Record<string, any>[] }>

/** The jobs' own connections to the primary. */
export interface JobsDatabase {
  readonly run: RunStatement
  /** As a whole or not at all; `work` is given what runs a statement within. */
  transaction<T>(work: (run: RunStatement) => Promise<T>): Promise<T>
}

/** A job that is ordered. */
export interface NewJob {
  readonly name: string
  /** JSON. */
  readonly input: string
  readonly owner: string | null
  /** What it is about: see `concurrency.perKey`. */
  readonly key: string | null
  readonly uniqueKey: string | null
  readonly priority: number
  /** Not before so long from now; 0: at once. */
  readonly delayMs: number
  /** How often it may be begun. */
  readonly attempts: number
}

export interface Ordered {
  readonly id: string
  /** False: an order like it is not finished yet, and this is its id. */
  readonly isNew: boolean
}

/** A job in a worker's hands. */
export interface Claim {
  readonly id: string
  readonly token: number
  readonly name: string
  /** As it was ordered: parsed JSON. */
  readonly input: unknown
  readonly owner: string | null
  /** From 1. */
  readonly attempt: number
  readonly attempts: number
  /** Somebody wants it to be cancelled: it was handed back before it could be. */
  readonly cancelled: boolean
}

export type ClaimName = Pick<Claim, 'id' | 'token'>

/** Names whose jobs nobody may take beyond what they allow. */
export interface LimitedName {
  readonly name: string
  readonly limit: number | null
  readonly perKey: number | null
  readonly rate: { readonly limit: number; readonly perMs: number } | null
}

/** What an attempt that failed leaves behind. Plain data. */
export interface JobError {
  readonly attempt: number
  /** ISO 8601. */
  readonly at: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
}

export interface Failed extends ClaimName {
  readonly error: JobError
  /** Until the next attempt; null: there is none. */
  readonly retryMs: number | null
}

export interface Completed extends ClaimName {
  /** JSON; null: none. */
  readonly output: string | null
  /** What it said last, where that is not written yet. */
  readonly message?: string
}

/** `version`: of the job, now. `lost`: it is somebody else's, or nobody's; nothing was changed. */
export type Recorded = { readonly id: string; readonly version: number } | { readonly id: string; readonly lost: true }

export interface Heartbeat {
  /** False: the worker's lease was over and is gone, and with it all its claims. */
  readonly alive: boolean
  /** Claims that somebody wants to be cancelled. */
  readonly cancelled: readonly ClaimName[]
  /** Jobs that ran in the worker's name and were not in its hands; they wait again. */
  readonly handedBack: number
}

/** A job as it is told to whoever may see it. */
export interface JobRecord {
  readonly id: string
  readonly name: string
  readonly state: JobState
  readonly version: number
  readonly owner: string | null
  /** 0 to 1; null: nothing was said. */
  readonly progress: number | null
  readonly message: string | null
  readonly input: unknown
  /** Of a job that is done; null where there is none. */
  readonly output: unknown
  readonly attempt: number
  readonly attempts: number
  /** The newest last. */
  readonly errors: readonly JobError[]
  /** Ms since 1970. */
  readonly orderedAtMs: number
  readonly notBeforeMs: number
  readonly finishedAtMs: number | null
}

export interface JobCounts {
  readonly name: string
  readonly scheduled: number
  readonly waiting: number
  readonly running: number
  readonly failed: number
  readonly paused: boolean
  /** How long the oldest that could be begun has waited, in ms. */
  readonly oldestMs: number
}

/** Who listens to calls. */
export interface CallListener {
  readonly hear: (message: string) => void
  /** Some may have been missed. */
  readonly missed: () => void
}

export interface JobEngine {
  /** Makes the tables where they are missing. */
  prepare(): Promise<void>
  /** Whether a connection leads to the database of these jobs. Harms no transaction that it is in. */
  isHere(run: RunStatement): Promise<boolean>
  /**
   * The orders, by `run`: within whatever transaction that stands in. In their order.
   *
   * @param call told to all who listen, right behind them, where they are a transaction of their own
   */
  order(run: RunStatement, jobs: readonly NewJob[], call?: string): Promise<readonly Ordered[]>
  /** Tells all who listen, of less than 8,000 bytes. A hint: it may be lost. */
  call(message: string): Promise<void>
  /** Notes a request by its key, within the transaction of its order. */
  beginRequest(run: RunStatement, request: NamedRequest): Promise<BegunRequest>
  /** Notes what it has ordered, unless that is somebody else's. */
  endRequest(run: RunStatement, request: NamedRequest, job: string): Promise<void>
  /** Which of these can be seen by everybody. */
  visible(ids: readonly string[]): Promise<readonly string[]>

  /** A worker with a lease of its own. Answers its id. */
  register(name: string, leaseMs: number): Promise<string>
  /** Lengthens the lease, and hands back what runs in the worker's name and is not among `held`. Never during a claim of its own. */
  beat(worker: string, leaseMs: number, held: readonly string[]): Promise<Heartbeat>
  /** The worker ends: what runs in its name waits again, and the attempts do not count. */
  withdraw(worker: string): Promise<void>
  /** Takes from workers whose lease is over what they had. Answers how many jobs that were. */
  recover(): Promise<number>

  /** At most `most` jobs of these names, the smallest ranks first, and fewer where their inputs are large; and whether there may be more. */
  claim(
    worker: string,
    names: readonly string[],
    most: number,
  ): Promise<{ readonly claims: readonly Claim[]; readonly more: boolean }>
  /** The same for one name that is limited in the cluster; with the time after which a rate allows the next, if that held some back. */
  claimLimited(
    worker: string,
    limits: LimitedName,
    most: number,
  ): Promise<{ readonly claims: readonly Claim[]; readonly againMs: number | null }>
  /** Which of these names have jobs that wait. */
  waitingAmong(names: readonly string[]): Promise<readonly string[]>
  /** Lets what is due wait for a worker. Answers how many these were, and in how many ms the next is due; null: none is. */
  due(): Promise<{ readonly moved: number; readonly nextMs: number | null }>

  complete(worker: string, completed: readonly Completed[]): Promise<readonly Recorded[]>
  fail(worker: string, failed: readonly Failed[]): Promise<readonly Recorded[]>
  /** The end of a claim that was cancelled. */
  endCancelled(worker: string, claims: readonly ClaimName[]): Promise<readonly Recorded[]>
  handBack(worker: string, claims: readonly ClaimName[]): Promise<readonly Recorded[]>
  progress(
    worker: string,
    told: readonly (ClaimName & { readonly progress: number; readonly message: string | null })[],
  ): Promise<readonly Recorded[]>

  find(ids: readonly string[]): Promise<readonly JobRecord[]>
  /** Those that have failed, the newest first. */
  failed(name: string | null, most: number): Promise<readonly JobRecord[]>
  /** `asked`: it runs, and its worker is to end it. Null: it is finished, or there is none. */
  cancel(id: string): Promise<{ readonly version: number; readonly asked: boolean } | null>
  /** Lets failed jobs wait again, from the first attempt. Answers their ids. */
  retry(of: { readonly id: string } | { readonly name: string }): Promise<readonly string[]>
  setPaused(name: string, paused: boolean): Promise<void>
  paused(): Promise<readonly string[]>
  counts(): Promise<readonly JobCounts[]>

  /** Orders a job for a tick of its schedule, unless somebody has: both in one transaction. Null: somebody has, or a later one. */
  tick(name: string, atMs: number, job: NewJob): Promise<Ordered | null>
  /** The last tick that was ordered, and the time: in ms since 1970, by the database's clock. The record of a name that is new begins now. */
  lastTick(name: string): Promise<{ readonly atMs: number; readonly nowMs: number }>

  /** Empties what is older than so, or what is too much. */
  rotate(keepMs: number, keepBytes: number, failedForMs: number): Promise<void>
}
