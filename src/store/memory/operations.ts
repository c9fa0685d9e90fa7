/**
 * What goes over the embedded store's socket. The client opens; the server says hello with its incarnation; then
 * batches go one way and answers the other, each a frame. Operations are tuples, because objects would cost names.
 */

/** Raised when a frame's shape changes: client and server of different builds then refuse each other. */
export const protocolVersion = 2

export type Pair<T> = readonly [string, T]

export type Operation =
  | readonly ['ping']
  | readonly ['read', string]
  | readonly ['create', string, readonly Pair<Uint8Array>[], number]
  | readonly [
      'update',
      string,
      readonly Pair<Uint8Array>[],
      readonly string[],
      readonly Pair<Uint8Array | null>[],
      number | null,
    ]
  | readonly ['delete', string]
  | readonly ['list', string, number]
  | readonly ['raiseToken', string, string, number, number]
  | readonly ['readToken', string]
  | readonly ['replaceToken', string, readonly Pair<number>[], string, number, number]
  | readonly ['acquireLease', string, string, number]
  | readonly ['renewLease', string, string, number, number]
  | readonly ['releaseLease', string, string, number]
  | readonly ['register', string, string, Uint8Array, number]
  | readonly ['renewRegistration', string, string, number, number, Uint8Array | null]
  | readonly ['withdraw', string, string, number]
  | readonly ['readRegistry', string, string | null]
  | readonly ['appendToStream', string, Uint8Array, number, number]
  | readonly ['readStream', string, number, number]
  /** The last is the machine's monotonic millisecond until which the answer may be held back. Travels alone in its batch. */
  | readonly ['followStream', string, number, number, number]
  | readonly ['spend', string, number, number]
  | VolatileOperation

/** On the second tier of the cache: in no log. Keys; key, value, time to live; key. */
export type VolatileOperation =
  | readonly ['tierGet', readonly string[]]
  | readonly ['tierSet', string, Uint8Array, number]
  | readonly ['tierDelete', string]

export function isVolatile(operation: Operation): operation is VolatileOperation {
  return operation[0] === 'tierGet' || operation[0] === 'tierSet' || operation[0] === 'tierDelete'
}

/** The first frame on a connection, from the server. */
export type Hello = readonly ['fourfold-store', number, string]

/** Number, the machine's monotonic milliseconds after which nobody waits any more, operations. */
export type Batch = readonly [number, number, readonly Operation[]]

/** Number of the batch, and for each operation its value or its error. */
export type Answers = readonly [number, readonly Answer[]]
export type Answer = readonly [true, unknown] | readonly [false, string]

/**
 * Operations that may be sent a second time when the connection broke before the answer came: doing them twice is
 * the same as doing them once.
 */
const repeatable: ReadonlySet<Operation[0]> = new Set<Operation[0]>([
  'ping',
  'read',
  'list',
  'raiseToken',
  'readToken',
  'acquireLease',
  'renewLease',
  'register',
  'renewRegistration',
  'readRegistry',
  'readStream',
  'followStream',
  'tierGet',
  'tierSet',
  'tierDelete',
])

export function isRepeatable(operation: Operation): boolean {
  return repeatable.has(operation[0])
}

/** Milliseconds of the machine's monotonic clock, which all processes of one machine share. */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + Math.floor(nanoseconds / 1e6)
}
