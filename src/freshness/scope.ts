/**
 * A scope: one reader at one level, for the length of a request, a job or a script. Executors made from it are handed
 * to the code that reads; nothing is found through ambient context.
 */

import type { Level } from './level.ts'
import type { ReaderSource } from './reader.ts'
import type { Requirement, TokenStore } from './token-store.ts'
import type { Position } from '../engines/position.ts'

export interface ScopeOptions {
  /** Absent: the level of the database that is asked. */
  readonly level?: Level | undefined
  /** Null: nobody. Writes then move no token, and reads at `session` are held to the store's floor. */
  readonly reader: ReaderSource | null
  /** Read the primary for everything: the reader's last write could not be settled (rule 32). */
  readonly pinned?: boolean
  /**
   * Whether the token is read once and kept (a request: it was current when the request began; one that lasts reads it anew each second) or before every read
   * (a script, which may outlive other writes of its reader). Default false: before every read.
   */
  readonly keepToken?: boolean
  /** The scope this one was derived from: a request sees what is written by whatever was derived from it. */
  readonly parent?: Scope
}

/** A request that lasts longer than this (an event stream) looks at its reader's token again. */
const keepTokenMs = 1_000

interface Kept {
  /** Itself once it is known, so that a read need not wait for a promise. */
  requirement: Requirement | Promise<Requirement>
  readonly atMs: number
}

/** What scopes of one reader in one request have in common: what one writes, all must see. */
interface Shared {
  readonly kept: Map<TokenStore, Kept>
  /** For `strict`: what had been acknowledged when the request first asked. */
  readonly indexes: Map<TokenStore, Promise<Position>>
  pinned: boolean
  settled: boolean
  /** Rises with everything that makes this reader need more than before. */
  version: number
}

export class Scope {
  readonly level: Level | undefined
  readonly reader: ReaderSource | null
  readonly #keepToken: boolean
  readonly #parent: Scope | null
  readonly #shared: Shared

  constructor(options: ScopeOptions, shared?: Shared) {
    this.level = options.level
    this.reader = options.reader
    this.#keepToken = options.keepToken ?? false
    this.#parent = options.parent ?? null
    this.#shared = shared ?? {
      kept: new Map(),
      indexes: new Map(),
      pinned: options.pinned ?? false,
      settled: true,
      version: 0,
    }
  }

  /** The same reader at another level. */
  atLevel(level: Level | undefined): Scope {
    return new Scope(
      { level, reader: this.reader, keepToken: this.#keepToken, ...(this.#parent && { parent: this.#parent }) },
      this.#shared,
    )
  }

  /** The same reader at another level, for one read: `strict` then means before that read began. */
  onceAt(level: Level): Scope {
    const keepToken = this.#keepToken && level !== 'strict'
    return new Scope(
      { level, reader: this.reader, keepToken, ...(this.#parent && { parent: this.#parent }) },
      this.#shared,
    )
  }

  /** False once a write's token could not be stored: the answer says so, and a browser is pinned to the primary. */
  get settled(): boolean {
    return this.#shared.settled
  }

  /** Whether every read of this scope goes to the primary. */
  get pinned(): boolean {
    return this.#shared.pinned
  }

  /** Another number after each write of this reader here, or below: what was known of its needs is then too little. */
  get version(): number {
    return this.#shared.version
  }

  /** Until when, on this process's monotonic clock, a requirement that was kept counts. 0: none is kept. */
  keptUntilMs(tokens: TokenStore): number {
    const kept = this.#keepToken ? this.#shared.kept.get(tokens) : undefined
    return kept === undefined || kept.requirement instanceof Promise ? 0 : kept.atMs + keepTokenMs
  }

  /** What reads of this reader must wait for; at once where it is kept. */
  require(tokens: TokenStore): Requirement | Promise<Requirement> {
    if (!this.#keepToken) return this.#load(tokens)
    const nowMs = performance.now()
    const kept = this.#shared.kept.get(tokens)
    return kept !== undefined && nowMs - kept.atMs < keepTokenMs ? kept.requirement : this.#loadAndKeep(tokens, nowMs)
  }

  /**
   * The position that a `strict` reader needs: asked for once in a request, and anew after each of its writes; before
   * every read where the scope is not a request.
   */
  readIndex(tokens: TokenStore, ask: () => Promise<Position>): Promise<Position> {
    if (!this.#keepToken) return ask()
    const kept = this.#shared.indexes.get(tokens)
    if (kept !== undefined) return kept
    const index = ask()
    this.#shared.indexes.set(tokens, index)
    index.catch(() => this.#shared.indexes.delete(tokens))
    return index
  }

  /** Told of a write of this reader before the write resolves. A null position: it did not come. */
  async wrote(tokens: TokenStore, position: Position | null): Promise<void> {
    this.#forget(tokens)
    if (this.reader === null) return
    const reader = await this.#key()
    const taken = reader !== null && (await tokens.raise(reader, position))
    this.#forget(tokens)
    // What waits for the store sends its reader to the primary by itself, and no longer than it has to.
    if (!taken) this.#unsettle(reader === null || !tokens.isPending(reader))
  }

  /** Told of the primary's position after a read that a token of another epoch had sent there. */
  async heal(tokens: TokenStore, requirement: Requirement, position: Position): Promise<void> {
    if (requirement.kind !== 'primary' || requirement.seen === null) return
    const reader = await this.reader?.current()
    if (reader !== null && reader !== undefined) await tokens.heal(reader, requirement.seen, position)
    this.#shared.kept.delete(tokens)
  }

  /** A write may be of the reader whose token is kept further up, under another scope. */
  #forget(tokens: TokenStore): void {
    this.#shared.version += 1
    this.#shared.kept.delete(tokens)
    this.#shared.indexes.delete(tokens)
    if (this.#parent !== null) this.#parent.#forget(tokens)
  }

  /** The answer to a request tells of all that was written while it ran. The root outlives requests and stays as it is. */
  #unsettle(lost: boolean): void {
    if (this.#parent !== null || this.#keepToken || this.reader !== null) {
      this.#shared.settled = false
      this.#shared.pinned ||= lost
      this.#shared.version += 1
    }
    if (this.#parent !== null) this.#parent.#unsettle(lost)
  }

  async #key(): Promise<string | null> {
    try {
      return (await this.reader?.ensure()) ?? null
    } catch {
      return null
    }
  }

  #loadAndKeep(tokens: TokenStore, atMs: number): Promise<Requirement> {
    const load = this.#load(tokens)
    // A write that comes in between drops this entry from the map, so what it holds then is read by nobody.
    const kept: Kept = { requirement: load, atMs }
    this.#shared.kept.set(tokens, kept)
    return load.then((requirement) => (kept.requirement = requirement))
  }

  async #load(tokens: TokenStore): Promise<Requirement> {
    try {
      return await tokens.require(this.reader === null ? null : await this.reader.current())
    } catch {
      return { kind: 'primary', why: 'store', seen: null }
    }
  }
}
