/** Chance that repeats itself: the same seed gives the same data on every machine. */

export interface Random {
  /** From 0 to just under 1. */
  next(): number
  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number
  pick<T>(values: readonly T[]): T
  /** So many different values, or all if there are not so many. */
  sample<T>(values: readonly T[], count: number): T[]
  chance(probability: number): boolean
}

/** Mulberry32: small, fast, and good enough for made-up articles. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const whole = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  const pick = <T>(values: readonly T[]): T => values[whole(0, values.length - 1)] as T
  const sample = <T>(values: readonly T[], count: number): T[] => {
    const chosen = new Set<T>()
    for (let tries = 0; chosen.size < Math.min(count, values.length) && tries < count * 20 + 20; tries++) {
      chosen.add(pick(values))
    }
    return [...chosen]
  }
  return { next, whole, pick, sample, chance: (probability) => next() < probability }
}

/** Ranks from 0 to `count - 1`, each about as often as Zipf's law says: the first twice as often as the second. */
export function zipf(random: Random, count: number, exponent = 1): () => number {
  const sums: number[] = []
  let total = 0
  for (let rank = 1; rank <= count; rank++) sums.push((total += rank ** -exponent))
  return () => {
    const wanted = random.next() * total
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? total) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}
