/**
 * What fails every request at once (no clone is there, all are full) is one line a second, not one for each request:
 * lines are written synchronously, and would cost the balancer most when it has least to spare.
 */

const quietMs = 1000

export interface Warnings {
  /** How many of this kind were left out since the last line, if there is to be one now; else null. */
  admit(kind: string): number | null
}

export function createWarnings(now: () => number = () => performance.now()): Warnings {
  const seen = new Map<string, { at: number; leftOut: number }>()
  return {
    admit(kind) {
      const last = seen.get(kind)
      if (last !== undefined && now() - last.at < quietMs) {
        last.leftOut += 1
        return null
      }
      seen.set(kind, { at: now(), leftOut: 0 })
      return last?.leftOut ?? 0
    },
  }
}
