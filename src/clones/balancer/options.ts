/** What the balancer can be told, with its defaults. Plain data, so that it can be handed to a process as JSON. */

export interface BalancerLimits {
  /** Addresses or CIDR ranges of proxies in front whose forwarding headers are believed. Default: none. */
  readonly trustProxy: readonly string[]
  /** How long a client may take to send the headers of a request; then 408. Default: 10,000. */
  readonly headerTimeoutMs: number
  /** How long a client may pause while it sends a body; then 408. Default: 30,000. */
  readonly bodyTimeoutMs: number
  /** A body that comes more slowly than this, once `bodyTimeoutMs` were spent waiting for it, is given up; then 408. Default: 240. */
  readonly bodyMinBytesPerSecond: number
  /** How long a clone may take until it starts to answer; then 504. Default: 30,000. */
  readonly requestTimeoutMs: number
  /** How long a client may take nothing of an answer that waits for it; then it is cut off. Default: 60,000. */
  readonly stallTimeoutMs: number
  /** How long a client's connection is kept between requests. Default: 65,000. */
  readonly idleTimeoutMs: number
  /** How long a connection to a clone may take. Default: 2,000. */
  readonly connectTimeoutMs: number
  /** The most bytes of headers; more is answered 431. Default: 16 KiB. */
  readonly headerLimitBytes: number
  /** The most bytes of a request's body; more is answered 413. Default: 8 MiB. */
  readonly bodyLimitBytes: number
  /** Bodies of known length up to this are read before a clone is chosen, so that they can be sent twice. Default: 64 KiB. */
  readonly bufferLimitBytes: number
  /** The most that all such bodies hold while they come; beyond it they are streamed. Default: 64 MiB. */
  readonly bufferTotalBytes: number
  /**
   * The most requests that one clone works on at a time; streams that have begun do not count. As many bodies that are
   * streamed may come in beside them. Default: 256.
   */
  readonly maxInFlight: number
  /** The most connections of clients at a time; then idle ones make room, or the new one is closed. Default: 10,000. */
  readonly maxConnections: number
  /** The same for one address (IPv6: one /64), unless it is a trusted proxy. Default: 1,000. */
  readonly maxConnectionsPerAddress: number
  /** How long a clone that joins others, or comes back after failures, is given less than its share. Default: 10,000. */
  readonly slowStartMs: number
  /** How long a request waits when every clone is at its limit; then 503. Default: 5,000. */
  readonly queueTimeoutMs: number
  /** The most requests that wait; more are answered 503 at once. Default: 1,000. */
  readonly queueLimit: number
  /**
   * Whether answers are read with Node's own parser on connections of the balancer's own, which costs a third less, or
   * with undici. If this Node has no such parser, or one that fails the test at start, undici is used. Default: true.
   */
  readonly nativeParser: boolean
  /** Whether `X-Fourfold-Clone` names the clone that answered, and `X-Fourfold-Build` its build. Default: true. */
  readonly exposeClone: boolean
  /** The name of the cookie by which a reader is known while a rollout moves readers. Default: `'ff_session'`. */
  readonly readerCookie: string
}

const kib = 1024

export const defaultLimits: BalancerLimits = {
  trustProxy: [],
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  bodyMinBytesPerSecond: 240,
  requestTimeoutMs: 30_000,
  stallTimeoutMs: 60_000,
  idleTimeoutMs: 65_000,
  connectTimeoutMs: 2000,
  headerLimitBytes: 16 * kib,
  bodyLimitBytes: 8 * kib * kib,
  bufferLimitBytes: 64 * kib,
  bufferTotalBytes: 64 * kib * kib,
  maxInFlight: 256,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 1000,
  slowStartMs: 10_000,
  queueTimeoutMs: 5000,
  queueLimit: 1000,
  nativeParser: true,
  exposeClone: true,
  readerCookie: 'ff_session',
}

/** Asked of the balancer itself, never of a clone: 200 while a clone can be reached, else 503. */
export const healthPath = '/.fourfold/health'
