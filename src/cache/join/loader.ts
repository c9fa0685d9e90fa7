/**
 * Batching for what is neither table nor object: keys that are asked for in one tick go to a function together
 * (the idea is DataLoader's).
 *
 * A loader is a definition and holds no connection. Batches belong to the executor that is handed to each call, and the
 * function gets that very one: two loads of cached objects never share a batch, or all its reads would be recorded as
 * those of one of them (FRESHNESS rule 26). Nothing is kept between batches, so nothing is ever old.
 */

import { inspect } from 'node:util'

import { FourfoldError } from '../../core/errors.ts'
import { canonicalKey, type Key } from '../keys.ts'

export interface Loader<Executor extends object, K extends Key, Value> {
  /**
   * The value for a key, together with whatever else is asked for on the same executor in this tick; null where the
   * function's map has none.
   *
   * @throws FF_CACHE_KEY, FF_CACHE_LOADER, and what the function throws or answers as an error
   */
  load(executor: Executor, key: K): Promise<Value | null>
  /** Several at once, in their order. */
  loadMany(executor: Executor, keys: readonly K[]): Promise<(Value | null)[]>
}

export interface LoaderOptions {
  /** For messages. Default: the function's name. */
  readonly name?: string
  /** The most keys that the function is given at once. Default 1,000. */
  readonly maxBatch?: number
}

/** Answers a map by key, or an array in the order of the keys; an `Error` fails one key alone. */
export type LoadKeys<Executor, K, Value> = (
  executor: Executor,
  keys: readonly K[],
) => Promise<ReadonlyMap<K, Value | Error | null> | readonly (Value | Error | null)[]>

interface Waiting<K, Value> {
  readonly key: K
  readonly promise: Promise<Value | null>
  readonly resolve: (value: Value | null) => void
  readonly reject: (error: unknown) => void
}

/** By canonical key. */
type Batch<K, Value> = Map<string, Waiting<K, Value>>

/**
 * Declares a loader.
 *
 * ```ts
 * const prices = loader(async (shop: Shop, ids: readonly string[]) => await shop.pricesOf(ids))
 * await prices.load(shop, 'a')
 * ```
 *
 * @throws FF_CACHE_LOADER
 */
export function loader<Executor extends object, K extends Key, Value>(
  load: LoadKeys<Executor, K, Value>,
  options: LoaderOptions = {},
): Loader<Executor, K, Value> {
  const { name = load.name || 'a loader', maxBatch = 1_000 } = options
  if (!Number.isInteger(maxBatch) || maxBatch < 1) {
    throw mistake(name, `maxBatch: expected a whole number from 1 on, got ${maxBatch}`)
  }
  const open = new WeakMap<Executor, Batch<K, Value>>()

  const begin = (executor: Executor): Batch<K, Value> => {
    const batch: Batch<K, Value> = new Map()
    open.set(executor, batch)
    afterThisTick(() => {
      if (open.get(executor) === batch) open.delete(executor)
      void run(name, load, executor, batch)
    })
    return batch
  }

  const ask = (executor: Executor, key: K): Promise<Value | null> => {
    const text = canonicalKey(key, name)
    let batch = open.get(executor) ?? begin(executor)
    const asked = batch.get(text)
    if (asked !== undefined) return asked.promise
    if (batch.size >= maxBatch) batch = begin(executor)
    const waiting: Waiting<K, Value> = { key, ...Promise.withResolvers<Value | null>() }
    batch.set(text, waiting)
    return waiting.promise
  }

  return Object.freeze({
    load: async (executor: Executor, key: K) => await ask(executor, key),
    loadMany: async (executor: Executor, keys: readonly K[]) =>
      await Promise.all(keys.map((key) => ask(executor, key))),
  })
}

/** When all that was ready to run has run, and asked for its keys. */
function afterThisTick(work: () => void): void {
  queueMicrotask(() => process.nextTick(work))
}

async function run<Executor, K, Value>(
  name: string,
  load: LoadKeys<Executor, K, Value>,
  executor: Executor,
  batch: Batch<K, Value>,
): Promise<void> {
  try {
    const keys = [...batch.values()].map(({ key }) => key)
    const valueOf = readAnswer(name, await load(executor, keys), batch)
    for (const [at, [text, waiting]] of [...batch].entries()) settle(name, waiting, valueOf(text, at))
  } catch (error) {
    for (const { reject } of batch.values()) reject(error)
  }
}

function settle<K, Value>(name: string, waiting: Waiting<K, Value>, value: Value | Error | null | undefined): void {
  if (value instanceof Error) waiting.reject(value)
  else if (value === undefined) waiting.reject(mistake(name, 'expected a value, null or an Error, got undefined'))
  else waiting.resolve(value)
}

function readAnswer<K, Value>(
  name: string,
  answer: unknown,
  batch: Batch<K, Value>,
): (text: string, at: number) => Value | Error | null | undefined {
  if (Array.isArray(answer) && answer.length === batch.size) return (_, at) => answer[at] as Value | Error | null
  if (answer instanceof Map) {
    const found = new Map([...answer].map(([key, value]) => [canonicalKey(key, name), value as Value | Error | null]))
    for (const key of (answer as ReadonlyMap<unknown, unknown>).keys()) {
      // A number that came back as text would pass for a key that has no value.
      if (!batch.has(canonicalKey(key, name))) throw notAsked(name, key, batch)
    }
    return (text) => (found.has(text) ? found.get(text) : null)
  }
  const got = Array.isArray(answer) ? `an array of ${answer.length}` : typeof answer
  throw mistake(name, `expected a map, or an array of ${batch.size} values for as many keys, got ${got}`)
}

function notAsked<K, Value>(name: string, key: unknown, batch: Batch<K, Value>): FourfoldError {
  const [asked] = [...batch.values()].map((waiting) => inspect(waiting.key))
  return mistake(name, `expected a map whose keys are among those asked for, such as ${asked}; got ${inspect(key)}`)
}

function mistake(name: string, message: string): FourfoldError {
  return new FourfoldError('FF_CACHE_LOADER', `${name}: ${message}`, { fields: { name } })
}
