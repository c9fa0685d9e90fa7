/** What a run proves: reads only what was sent, what came back, and what stands in the database in the end. */

import type { Sent } from './load.ts'

export interface Findings {
  readonly requests: number
  /** Requests that failed though nothing that happened explains it. */
  readonly unexplained: readonly Sent[]
  /** Requests that a killed clone had, and that may not be sent again or had begun to be answered. */
  readonly explained: readonly Sent[]
  /** Ids that stand in the database more than once. */
  readonly duplicated: readonly string[]
  /** Writes that were acknowledged and are not there. */
  readonly lost: readonly string[]
  /** Answers of a build that is smaller than one that the reader had seen before it asked. */
  readonly backward: readonly Sent[]
  /** Answers of a build that nobody let in. */
  readonly foreign: readonly Sent[]
  readonly answersByBuild: Readonly<Record<number, number>>
}

/** A killed clone's connections break at once; a machine that is busy may take longer to say so. */
const explainedWithinMs = 3000

export function judge(
  sent: readonly Sent[],
  stored: readonly string[],
  kills: readonly number[],
  admitted: ReadonlySet<number>,
): Findings {
  const failed = sent.filter(({ status, build }) => status !== 200 || build === null)
  const explained = failed.filter((one) => isExplained(one, kills))
  const counts = new Map<string, number>()
  for (const id of stored) counts.set(id, (counts.get(id) ?? 0) + 1)
  const acknowledged = sent.filter(({ status, id }) => status === 200 && id !== undefined)
  const answersByBuild: Record<number, number> = {}
  for (const { build } of sent) if (build !== null) answersByBuild[build] = (answersByBuild[build] ?? 0) + 1
  return {
    requests: sent.length,
    unexplained: failed.filter((one) => !explained.includes(one)),
    explained,
    duplicated: [...counts].filter(([, count]) => count > 1).map(([id]) => id),
    lost: acknowledged.map(({ id = '' }) => id).filter((id) => !counts.has(id)),
    backward: findBackward(sent),
    foreign: sent.filter(({ build }) => build !== null && !admitted.has(build)),
    answersByBuild,
  }
}

/** A clean 502 or a reset, of a write that a clone had when it was killed, or of an answer that it had begun. */
function isExplained({ method, status, error, begunMs, endedMs }: Sent, kills: readonly number[]): boolean {
  const during = kills.some((at) => begunMs <= at + explainedWithinMs && endedMs >= at)
  if (!during) return false
  if (method === 'POST')
    return status === 502 || error === 'ECONNRESET' || error?.startsWith('answer broken off') === true
  return status === 200 && error?.startsWith('answer') === true
}

/** Per reader: what it had seen when it asked, and what it was then answered. */
function findBackward(sent: readonly Sent[]): Sent[] {
  const backward: Sent[] = []
  for (const reader of new Set(sent.map((one) => one.reader))) {
    let seen = 0
    for (const one of sent.filter((other) => other.reader === reader && other.build !== null)) {
      if ((one.build ?? 0) < seen) backward.push(one)
      seen = Math.max(seen, one.build ?? 0)
    }
  }
  return backward
}
