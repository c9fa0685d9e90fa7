/**
 * Holds the headers of a `node:http` response back until something asynchronous is done. The first of `writeHead`,
 * `flushHeaders`, `write` and `end` starts `prepare`; it and all that follow are kept, in order, and take place once
 * `prepare` has resolved. Back pressure is kept: a held `write` answers false and `drain` comes later. To the app an
 * answer that is held has begun: `headersSent` is true, and its headers cannot be changed any more.
 *
 * The shape is that of jshttp/on-headers, which can only do synchronous work at that moment.
 */

import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** The headers of an answer that is held, for those who hold it. */
export interface Head {
  append(name: string, value: string | readonly string[]): void
  set(name: string, value: string): void
}

export interface HoldOptions {
  /** What must be done first, given the status that the answer will have. Undefined: nothing. */
  readonly prepare: (statusCode: number, head: Head) => Promise<void> | undefined
  /** What must be done before the end of an answer that began earlier. Undefined: nothing. */
  readonly beforeEnd?: () => Promise<void> | undefined
  /**
   * Answers instead, when `prepare` rejected: what was held is dropped, and so is what the handler still writes, unless
   * it answers `'open'`. `ended`: the handler has ended its answer.
   */
  readonly fail: (error: unknown, ended: boolean) => 'open' | 'dropped' | void
}

const heldMethods = ['writeHead', 'flushHeaders', 'write', 'end'] as const
type HeldMethod = (typeof heldMethods)[number]
type AnyMethod = (...values: unknown[]) => unknown

interface Call {
  readonly name: HeldMethod
  readonly values: unknown[]
}

/** Installs the hold. Answers a function that tells whether the answer has begun, held or not. */
export function holdResponse(response: ServerResponse, options: HoldOptions): () => boolean {
  const hold = new Hold(response, options)
  hold.install()
  return () => hold.state !== 'waiting'
}

class Hold {
  state: 'waiting' | 'held' | 'open' | 'dropped' = 'waiting'
  readonly #response: ServerResponse
  readonly #options: HoldOptions
  readonly #original: Readonly<Record<HeldMethod, AnyMethod>>
  #queue: Call[] = []
  #locked = true
  #closes = false

  constructor(response: ServerResponse, options: HoldOptions) {
    this.#response = response
    this.#options = options
    const bound = heldMethods.map((name) => [name, (response[name] as AnyMethod).bind(response)])
    this.#original = Object.fromEntries(bound) as Record<HeldMethod, AnyMethod>
  }

  install(): void {
    const response = this.#response
    const head: Head = {
      append: (name, value) => this.#unlocked(() => response.appendHeader(name, value)),
      set: (name, value) => this.#unlocked(() => response.setHeader(name, value)),
    }
    for (const name of heldMethods)
      response[name] = ((...values: unknown[]) => this.#take({ name, values }, head)) as never
  }

  #unlocked(work: () => unknown): void {
    this.#locked = false
    try {
      work()
    } finally {
      this.#locked = true
    }
  }

  #take(call: Call, head: Head): unknown {
    if (this.state === 'held' && call.name === 'writeHead') throw headersSent('write')
    const values = call.name === 'writeHead' && this.state !== 'dropped' ? this.#readHead(call.values) : call.values
    if (this.state === 'waiting')
      this.#begin(call.name === 'writeHead' ? Number(values[0]) : this.#response.statusCode, head)
    else if (this.state === 'open' && call.name === 'end') this.#beginEnd()
    if (this.state === 'open') return this.#original[call.name](...values)
    if (this.state === 'held') this.#queue.push({ name: call.name, values })
    return call.name === 'write' ? false : this.#response
  }

  /** What node would refuse of a head that was sent already, it refuses itself. */
  #readHead(values: unknown[]): unknown[] {
    return this.#response.headersSent ? values : mergeHead(this.#response, values)
  }

  #begin(statusCode: number, head: Head): void {
    this.#hold(this.#options.prepare(statusCode, head), statusCode)
  }

  #beginEnd(): void {
    const work = this.#response.writableEnded ? undefined : this.#options.beforeEnd?.()
    if (work !== undefined) this.#hold(work, this.#response.statusCode)
  }

  #hold(work: Promise<void> | undefined, statusCode: number): void {
    this.state = work === undefined ? 'open' : 'held'
    // Most answers need not wait, and pay nothing for what follows.
    if (work !== undefined && !this.#closes) {
      this.#closes = true
      closeHead(this.#response, () => this.state === 'held' && this.#locked)
    }
    work?.then(() => this.#open(statusCode), this.#drop)
  }

  #open(statusCode: number): void {
    const response = this.#response
    this.state = 'open'
    const queue = this.#queue
    this.#queue = []
    // The status that the answer had when it was begun: it was told to `prepare`.
    if (!response.headersSent) response.statusCode = statusCode
    const results: unknown[] = []
    try {
      for (const { name, values } of queue) results.push(this.#original[name](...values))
    } catch (error) {
      // What node refuses, such as a header with a line break: the handler that asked for it cannot catch it any more.
      return this.#drop(error)
    }
    if (!response.writableEnded && results.every((result) => result !== false)) response.emit('drain')
  }

  readonly #drop = (error: unknown): void => {
    const ended = this.#queue.some(({ name }) => name === 'end')
    this.#queue = []
    this.state = 'open'
    try {
      this.state = this.#options.fail(error, ended) ?? 'dropped'
    } catch {
      this.#response.destroy()
      this.state = 'dropped'
    }
  }
}

const headMethods = { setHeader: 'set', appendHeader: 'append', removeHeader: 'remove' } as const

/** While `closed` says so, the headers look as if they were sent. */
function closeHead(response: ServerResponse, closed: () => boolean): void {
  const known = Object.getOwnPropertyDescriptor(response, 'headersSent')
  const isSent = known?.get ?? (() => Reflect.get(Object.getPrototypeOf(response) as object, 'headersSent', response))
  Object.defineProperty(response, 'headersSent', {
    configurable: true,
    get: () => closed() || isSent.call(response),
  })
  for (const [name, verb] of Object.entries(headMethods) as [keyof typeof headMethods, string][]) {
    const method = (response[name] as AnyMethod).bind(response)
    response[name] = ((...values: unknown[]) => {
      if (closed()) throw headersSent(verb)
      const result = method(...values)
      return name === 'setHeader' || name === 'appendHeader' ? response : result
    }) as never
  }
}

function headersSent(verb: string): Error {
  return Object.assign(new Error(`Cannot ${verb} headers after they are sent to the client`), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}

/** Calls `work` at the last moment at which an answer's headers can be changed. */
export function beforeHead(response: ServerResponse, work: () => void): void {
  const { writeHead } = response
  let done = false
  response.writeHead = ((...values: unknown[]) => {
    if (done) return (writeHead as AnyMethod).apply(response, values)
    done = true
    const rest = mergeHead(response, values)
    if (typeof rest[0] === 'number') response.statusCode = rest[0]
    work()
    return (writeHead as AnyMethod).apply(response, rest)
  }) as never
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
