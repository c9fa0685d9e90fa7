/**
 * Holds the headers of a `node:http` response back until something asynchronous is done. The first of `writeHead`,
 * `flushHeaders`, `write` and `end` starts `prepare`; it and all that follow are kept, in order, and take place once
 * `prepare` has resolved. Back pressure is kept: a held `write` answers false and `drain` comes later.
 *
 * The shape is that of jshttp/on-headers, which can only do synchronous work at that moment.
 */

import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

export interface HoldOptions {
  /** What must be done first, given the status that the answer will have. Undefined: nothing. */
  readonly prepare: (statusCode: number) => Promise<void> | undefined
  /** Answers instead, when `prepare` rejected: what was held is dropped, and so is what the handler still writes. */
  readonly fail: (error: unknown) => void
}

const heldMethods = ['writeHead', 'flushHeaders', 'write', 'end'] as const
type HeldMethod = (typeof heldMethods)[number]
type AnyMethod = (...values: unknown[]) => unknown

/** Installs the hold. Answers a function that tells whether the answer has begun, held or not. */
export function holdResponse(response: ServerResponse, options: HoldOptions): () => boolean {
  const original = Object.fromEntries(heldMethods.map((name) => [name, response[name].bind(response)])) as Record<
    HeldMethod,
    AnyMethod
  >
  let state: 'waiting' | 'held' | 'open' | 'dropped' = 'waiting'
  let queue: (() => unknown)[] = []

  function open(): void {
    state = 'open'
    const results: unknown[] = []
    try {
      for (const call of queue) results.push(call())
    } catch (error) {
      // What node refuses, such as a header with a line break: the handler that asked for it cannot catch it any more.
      return drop(error)
    }
    queue = []
    if (!response.writableEnded && results.every((result) => result !== false)) response.emit('drain')
  }

  function drop(error: unknown): void {
    queue = []
    state = 'open'
    try {
      options.fail(error)
    } catch {
      response.destroy()
    }
    state = 'dropped'
  }

  function begin(name: HeldMethod, values: readonly unknown[]): void {
    const preparation = options.prepare(name === 'writeHead' ? Number(values[0]) : response.statusCode)
    state = preparation === undefined ? 'open' : 'held'
    preparation?.then(open, drop)
  }

  function pass(name: HeldMethod, values: unknown[]): unknown {
    return name === 'writeHead' ? original.writeHead(...mergeHead(response, values)) : original[name](...values)
  }

  for (const name of heldMethods) {
    const hold: AnyMethod = (...values) => {
      if (state === 'waiting') begin(name, values)
      if (state === 'open') return pass(name, values)
      if (state === 'held') queue.push(() => pass(name, values))
      return name === 'write' ? false : response
    }
    response[name] = hold as never
  }
  return () => state !== 'waiting'
}

/** `writeHead` replaces headers of one name that were set before; ours and the app's Set-Cookie must both go out. */
function mergeHead(response: ServerResponse, values: unknown[]): unknown[] {
  const headers = values.at(-1)
  if (typeof headers !== 'object' || headers === null) return values
  for (const [name, value] of headerEntries(headers)) {
    if (value === undefined) continue
    if (name.toLowerCase() === 'set-cookie') response.appendHeader(name, Array.isArray(value) ? value : String(value))
    else response.setHeader(name, value)
  }
  return values.slice(0, -1)
}

function headerEntries(headers: object): [string, OutgoingHttpHeader | undefined][] {
  if (!Array.isArray(headers)) return Object.entries(headers as OutgoingHttpHeaders)
  const flat = headers.flat(1) as OutgoingHttpHeader[]
  const names = flat.filter((_, index) => index % 2 === 0).map(String)
  const grouped = new Map<string, string[]>()
  names.forEach((name, index) => grouped.set(name, [...(grouped.get(name) ?? []), String(flat[2 * index + 1])]))
  return [...grouped]
}
