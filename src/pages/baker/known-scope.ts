/**
 * Nobody's reads, at least as fresh as all changes that this process has heard of: what is baked because of a change shows
 * that change (FRESHNESS rule 34), also where a replica answers.
 */

import { Scope } from '../../freshness/scope.ts'

import type { Clusters } from '../../cache/checks.ts'
import type { ChangeFollower } from '../../freshness/changes/follower.ts'
import type { Requirement, TokenStore } from '../../freshness/token-store.ts'

export class KnownScope extends Scope {
  readonly #changesOf = new Map<TokenStore, ChangeFollower>()

  constructor(clusters: Clusters) {
    super({ level: 'session', reader: null })
    for (const { tokens, changes } of clusters.values()) if (changes !== null) this.#changesOf.set(tokens, changes)
  }

  override require(tokens: TokenStore): Requirement {
    const changes = this.#changesOf.get(tokens)
    const epoch = changes?.epoch ?? null
    if (changes === undefined || epoch === null) return { kind: 'primary', why: 'floor', seen: null }
    return { kind: 'position', position: { epoch, lsn: changes.watermark } }
  }
}
