/** What stands as `{{$…}}` in a script: decided once for all runs, so that they send the same. */

import { randomInt, randomUUID } from 'node:crypto'

/** The value of `$guid`, `$randomInt 1 9` and so on; null if there is no such name. */
export function systemValue(
  expression: string,
  env: Readonly<Record<string, string | undefined>>,
  now: Date = new Date(),
): string | null {
  const [name = '', ...words] = expression.split(/\s+/)
  switch (name) {
    case '$guid':
    case '$uuid':
    case '$random.uuid':
      return randomUUID()
    case '$randomInt':
      return String(randomInt(...rangeOf(words)))
    case '$random.integer':
      return String(randomInt(0, 1000))
    case '$timestamp':
      return String(Math.floor(now.getTime() / 1000))
    case '$isoTimestamp':
      return now.toISOString()
    case '$datetime':
      return words[0] === 'rfc1123' ? now.toUTCString() : now.toISOString()
    case '$processEnv':
      return env[words[0] ?? ''] ?? null
    default:
      return null
  }
}

function rangeOf(words: readonly string[]): [from: number, to: number] {
  const [from = 0, to = 1000] = words.map(Number).filter(Number.isSafeInteger)
  return to > from ? [from, to] : [from, from + 1]
}
