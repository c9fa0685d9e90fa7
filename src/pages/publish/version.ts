/**
 * Which of two bakes of a page is newer: the one that read later states of the databases, and the clock where those do
 * not say. Positions of one history compare exactly, whoever baked and whatever the machines' clocks show.
 */

import type { EntryPart } from '../../freshness/changes/recorder.ts'

/** Plain data: it is kept beside what was published. */
export interface PageVersion {
  /** Names the app's code. */
  readonly build: string
  /** Database, epoch and position. */
  readonly asOf: readonly (readonly [string, string, number])[]
  /** Wall clock, ms. */
  readonly bakedAtMs: number
}

export function versionOf(build: string, parts: readonly EntryPart[], bakedAtMs: number): PageVersion {
  return { build, asOf: parts.map(({ database, epoch, asOf }) => [database, epoch, asOf] as const), bakedAtMs }
}

/**
 * Greater than 0 where `a` is newer. Positions of all databases must agree on it; where they do not, or stand in
 * different histories, the time of the bake decides.
 */
export function compareVersions(a: PageVersion, b: PageVersion): number {
  let sign = 0
  for (const [database, epoch, position] of a.asOf) {
    const other = b.asOf.find(([name, history]) => name === database && history === epoch)
    if (other === undefined) return Math.sign(a.bakedAtMs - b.bakedAtMs)
    const difference = Math.sign(position - other[2])
    if (sign * difference < 0) return Math.sign(a.bakedAtMs - b.bakedAtMs)
    sign ||= difference
  }
  return sign || Math.sign(a.bakedAtMs - b.bakedAtMs)
}

export function isSameVersion(a: PageVersion, b: PageVersion): boolean {
  return a.build === b.build && compareVersions(a, b) === 0
}

export function encodeVersion({ build, asOf, bakedAtMs }: PageVersion): string {
  return JSON.stringify([build, asOf, bakedAtMs])
}

/** Null for what is not one. */
export function decodeVersion(text: string): PageVersion | null {
  try {
    const [build, asOf, bakedAtMs] = JSON.parse(text) as [string, PageVersion['asOf'], number]
    return typeof build === 'string' && Array.isArray(asOf) && Number.isFinite(bakedAtMs)
      ? { build, asOf, bakedAtMs }
      : null
  } catch {
    return null
  }
}
