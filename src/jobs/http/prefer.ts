/** `Prefer: respond-async, wait=N` (RFC 7240): whether, and for how long, an answer is held back until the job is done. */

export type HeaderFields = Readonly<Record<string, string | string[] | undefined>>

const longestWaitMs = 30_000

/** In ms; 0: the answer is not held back. */
export function waitOf(headers: HeaderFields): number {
  const text = String(headers['prefer'] ?? '')
  for (const preference of text.split(',')) {
    const [, seconds] = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(preference) ?? []
    if (seconds !== undefined) return Math.min(longestWaitMs, Number(seconds) * 1_000)
  }
  return 0
}

/** What of it was heeded. */
export function appliedOf(headers: HeaderFields): Record<string, string> {
  const waitMs = waitOf(headers)
  if (waitMs > 0) return { 'preference-applied': `wait=${waitMs / 1_000}` }
  return /(?:^|,)\s*respond-async\s*(?:,|;|$)/i.test(String(headers['prefer'] ?? ''))
    ? { 'preference-applied': 'respond-async' }
    : {}
}
