/**
 * The four promises a read can ask for (FRESHNESS.md, "Levels").
 *
 * - `eventual`: at most `maxStaleness` old.
 * - `session`: the reader sees their own acknowledged writes.
 * - `monotonic`: `session`, and time never runs backwards for one reader.
 * - `strict`: everything that anybody acknowledged before the read began.
 *
 * Without a change stream there is no visible position, so `monotonic` and `strict` are answered by the primary.
 */
export type Level = 'eventual' | 'session' | 'monotonic' | 'strict'

export const levels: readonly Level[] = ['eventual', 'session', 'monotonic', 'strict']

/** Whether a level may be answered by a replica at all, without a change stream. */
export function mayUseReplica(level: Level): boolean {
  return level === 'session' || level === 'eventual'
}
