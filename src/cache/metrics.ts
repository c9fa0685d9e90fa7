/** What the cache does, counted per source since the process began. */

import type { MissReason } from './entry.ts'

export interface SourceMetrics {
  hits: { memory: number; tier: number; joined: number; previous: number }
  /** Look-ups that no entry could answer, by why the newest known entry could not. */
  misses: Partial<Record<MissReason, number>>
  loads: number
  failedLoads: number
  /** Loads whose answer could not be kept, by why. */
  refused: Record<string, number>
  /** The sum over all loads, in ms. */
  loadMs: number
  /** Entries that were over although the next load gave the same: collisions of the filter, and changes that do not show. */
  falseMisses: number
}

export class Metrics {
  readonly #sources = new Map<string, SourceMetrics>()

  of(name: string): SourceMetrics {
    let known = this.#sources.get(name)
    if (known === undefined) {
      known = {
        hits: { memory: 0, tier: 0, joined: 0, previous: 0 },
        misses: {},
        loads: 0,
        failedLoads: 0,
        refused: {},
        loadMs: 0,
        falseMisses: 0,
      }
      this.#sources.set(name, known)
    }
    return known
  }

  missed(name: string, reason: MissReason): void {
    const { misses } = this.of(name)
    misses[reason] = (misses[reason] ?? 0) + 1
  }

  refused(name: string, reason: string): void {
    const { refused } = this.of(name)
    refused[reason] = (refused[reason] ?? 0) + 1
  }

  snapshot(): Readonly<Record<string, SourceMetrics>> {
    return Object.fromEntries([...this.#sources].map(([name, counts]) => [name, structuredClone(counts)]))
  }
}
