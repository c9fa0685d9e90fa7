/** How much to make up: `fourfold seed --users 2000 --articles 20000 --seed 7`. */
import type { SeedOptions } from 'fourfold'

export interface SeedAmounts {
  readonly users: number
  readonly articles: number
  /** The same seed makes the same data. */
  readonly seed: number
}

const FIRST: SeedAmounts = { users: 40, articles: 160, seed: 1 }
const USUAL: SeedAmounts = { users: 200, articles: 2000, seed: 1 }

export function readSeedOptions({ first, arguments: given }: SeedOptions): SeedAmounts {
  const amounts = first ? FIRST : USUAL
  return {
    users: readAmount('users', given['users'], amounts.users, 1),
    articles: readAmount('articles', given['articles'], amounts.articles, 0),
    seed: readAmount('seed', given['seed'], amounts.seed, 0),
  }
}

function readAmount(name: string, text: string | undefined, otherwise: number, min: number): number {
  if (text === undefined) return otherwise
  const amount = /^\d{1,7}$/.test(text) ? Number(text) : NaN
  if (amount >= min) return amount
  throw new Error(`seed --${name}: expected a whole number from ${min} to 9999999, got ${JSON.stringify(text)}`)
}
