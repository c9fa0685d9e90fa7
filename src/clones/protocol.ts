/**
 * What the supervisor and its children say to each other over Node's IPC channel. Every message is plain JSON with a
 * `type`. Messages that nobody knows are ignored, so that an older child can live under a newer supervisor.
 *
 * The life of a child: spawned, `ready` (or `failed` and exit), then a `health` for every `ping`; `stop` or SIGTERM
 * lets it finish what it has begun and exit. A child whose channel closes has lost its supervisor and exits too.
 */

/** A build with its place in the order in which builds were let in: a reader never goes to a smaller ordinal. */
export interface AdmittedBuild {
  readonly id: string
  readonly ordinal: number
}

/**
 * Which builds may answer requests. Plain data, changed as a whole: one message, or one record in a store, moves a
 * balancer from one state to the next.
 */
export interface Admission {
  readonly current: AdmittedBuild
  /** The build that a rollout brings. Its ordinal is greater than the current one's. */
  readonly next?: AdmittedBuild
  /** The share of readers, 0 to 1, that are `next`'s. Within a rollout it never falls. */
  readonly share: number
  /** No request begins: all wait for the admission that follows. How balancers change over without overlapping. */
  readonly halt?: boolean
}

/** Requests that a build's clones were sent, and those of them that ended with a 5xx or a broken connection. */
export type BuildCounts = Readonly<Record<string, { readonly requests: number; readonly errors: number }>>

/** Where a process listens: a TCP address or a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/** A clone as the balancer knows it. */
export interface Upstream {
  /** One incarnation of a clone: a clone that was restarted has another id. */
  readonly id: string
  readonly address: ListenAddress
  /** The build the clone runs, empty where nobody names builds. */
  readonly buildId: string
  /** False while the clone leaves the supervisor's pings unanswered; it is then used only if nobody else is left. */
  readonly healthy?: boolean
  /** On another host: what requests must carry for this incarnation to take them. */
  readonly credential?: string
}

export type ReadyMessage = {
  readonly type: 'ready'
  readonly address?: ListenAddress
  readonly buildId?: string
  /** What else a process has to say that did its work before it was ready. Plain data. */
  readonly facts?: unknown
}
export type FailedMessage = { readonly type: 'failed'; readonly code: string; readonly message: string }
export type HealthMessage = {
  readonly type: 'health'
  readonly id: number
  readonly rssBytes: number
  readonly uptimeMs: number
}
/** The answer to `drain`: nothing is in flight any more (on that upstream, where `id` names one). */
export type DrainedMessage = { readonly type: 'drained'; readonly id?: string; readonly inFlight: number }
export type AppliedMessage = { readonly type: 'upstreams-applied'; readonly version: number }

/** A clone was told by somebody else to end, and serves until it hears `stop`. */
export type LeavingMessage = { readonly type: 'leaving' }
/** The answer to `count`: what a balancer has seen of each build, by its id, since it started. */
export type CountedMessage = { readonly type: 'counted'; readonly id: number; readonly builds: BuildCounts }
/** A step of a process that works before it is ready, in words for people. */
export type ProgressMessage = { readonly type: 'progress'; readonly text: string }

export type ChildMessage =
  | ReadyMessage
  | FailedMessage
  | HealthMessage
  | DrainedMessage
  | AppliedMessage
  | LeavingMessage
  | CountedMessage
  | ProgressMessage

export type ParentMessage =
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'stop' }
  /** To a balancer: these are all the clones there are. */
  | {
      readonly type: 'upstreams'
      readonly version: number
      readonly upstreams: readonly Upstream[]
      readonly admission?: Admission
    }
  /** To a balancer: what have you seen of each build? */
  | { readonly type: 'count'; readonly id: number }
  /** To a balancer: send this clone nothing new, and say when what it has is answered. */
  | { readonly type: 'drain'; readonly id: string; readonly withinMs: number }

/** The variable that carries a child's settings, as JSON. */
export const settingsVariable = 'FOURFOLD_PROCESS'

/** Whether something that came over the channel is a message at all. */
export function isMessage(value: unknown): value is { type: string } {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

/** An address as people write it: `127.0.0.1:8080`, `[::1]:8080` or the path of a socket. */
export function formatAddress(address: ListenAddress): string {
  if ('path' in address) return address.path
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
