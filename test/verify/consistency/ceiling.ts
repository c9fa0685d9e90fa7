/** The greatest version known at a time: entries rise in time and version, so that a search finds it. */

export class Ceiling {
  readonly #times: number[] = []
  readonly #versions: number[] = []

  raise(time: number, version: number): void {
    if (version <= this.newest) return
    this.#times.push(time)
    this.#versions.push(version)
  }

  get newest(): number {
    return this.#versions.at(-1) ?? -1
  }

  /** The greatest version told of strictly before this time, or -1. */
  before(time: number): number {
    let low = 0
    let high = this.#times.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#times[middle] ?? 0) < time) low = middle + 1
      else high = middle
    }
    return this.#versions[low - 1] ?? -1
  }
}

/** Ceilings by name, made when they are first asked for. */
export class Ceilings {
  readonly #known = new Map<string, Ceiling>()

  of(name: string): Ceiling {
    let known = this.#known.get(name)
    if (known === undefined) this.#known.set(name, (known = new Ceiling()))
    return known
  }
}
