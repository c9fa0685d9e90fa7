/**
 * Durations as people write them: `'30s'`, `'250ms'`, `'1h30m'`, or a number of milliseconds. Everything inside
 * Fourfold counts in milliseconds and says so in the name (`timeoutMs`); this parser is the only way in.
 */

import { FourfoldError } from './errors.ts'

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * A duration in milliseconds.
 *
 * @param value milliseconds, or text of one or more `<number><unit>` with the units ms, s, m, h and d
 * @param path where the value stands, for the message: `sessions.idle`
 * @throws FF_CORE_DURATION if the value is neither, negative, or not finite
 * @example parseDuration('1h30m') // 5400000
 */
export function parseDuration(value: string | number, path?: string): number {
  const ms = typeof value === 'number' ? value : readText(value)
  if (Number.isFinite(ms) && ms >= 0) return ms
  const place = path === undefined ? '' : `${path}: `
  throw new FourfoldError(
    'FF_CORE_DURATION',
    `${place}expected a duration such as "250ms", "30s", "1h30m" or "7d", or a number of milliseconds; got ${JSON.stringify(value) ?? typeof value}`,
    { fields: { path, value } },
  )
}

/** The shortest exact way to write a number of milliseconds: `90000` becomes `'90s'`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = unitMs[unit] ?? 1
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}

function readText(text: unknown): number {
  if (typeof text !== 'string' || !/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text.trim())) return Number.NaN
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    total += Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN)
  }
  return total
}
