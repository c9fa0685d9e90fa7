/** How much to make up: `fourfold seed --users 2000 --articles 20000 --seed 7`. */
import { FourfoldError, type SeedOptions } from 'fourfold'

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
  const mistakes = Object.keys(given)
    .filter((name) => !Object.hasOwn(amounts, name))
    .map((name) => `--${name}: there is no such option; known are --users, --articles and --seed`)
  const read = (name: keyof SeedAmounts, min: number): number => {
    const text = given[name]
    if (text === undefined) return amounts[name]
    const amount = /^\d{1,7}$/.test(text) ? Number(text) : NaN
    if (amount >= min) return amount
    mistakes.push(`--${name}: expected a whole number from ${min} to 9999999, got ${JSON.stringify(text)}`)
    return amounts[name]
  }
  const wanted = { users: read('users', 1), articles: read('articles', 0), seed: read('seed', 0) }
  if (mistakes.length > 0) throw new FourfoldError('FF_APP_INVALID', `the seed cannot run:\n  ${mistakes.join('\n  ')}`)
  return wanted
}
