/** What clones and balancers of several hosts say about themselves in the store's registry. */

import type { BuildCounts, ListenAddress } from '../protocol.ts'

export const cloneGroup = 'clones'
/** Balancers that live: whoever drains a clone waits for these, and for no others. */
export const balancerGroup = 'balancers'
/** Balancers that were not stopped in order, remembered for a day: one that is only cut off may still serve. */
export const memberGroup = 'balancer-members'

/** How long a clone or a balancer counts as living without a word of it. */
export const registrationTtlMs = 5000
export const renewMs = 1500
export const memberTtlMs: number = 24 * 3_600_000

/** One incarnation of a clone. Its id in the registry is another for each incarnation. */
export interface CloneEntry {
  readonly address: Extract<ListenAddress, { port: number }>
  readonly buildId: string
  /** The host, for people. */
  readonly host: string
  /** `draining`: send it nothing new; it ends when all balancers have answered what they had sent it. */
  readonly state: 'serving' | 'draining'
  /** How long requests in flight may take when it drains. */
  readonly graceMs: number
}

export interface BalancerEntry {
  readonly host: string
  /** Clones that it sends nothing new and has nothing in flight at. */
  readonly drained: readonly string[]
  /** The version of the admission that it follows. */
  readonly admission: number
  /** What it has seen of each build since its start. */
  readonly counts: BuildCounts
}

export function encodeEntry(entry: CloneEntry | BalancerEntry): Uint8Array {
  return Buffer.from(JSON.stringify(entry))
}

/** Null for what no clone of this version wrote. */
export function decodeClone(value: Uint8Array): CloneEntry | null {
  const entry = parse(value) as CloneEntry | null
  if (typeof entry?.address?.host !== 'string' || !Number.isInteger(entry.address.port)) return null
  const known = typeof entry.buildId === 'string' && entry.buildId !== '' && typeof entry.graceMs === 'number'
  return known && (entry.state === 'serving' || entry.state === 'draining') ? entry : null
}

export function decodeBalancer(value: Uint8Array): BalancerEntry | null {
  const entry = parse(value) as BalancerEntry | null
  return Array.isArray(entry?.drained) && typeof entry.admission === 'number' ? entry : null
}

function parse(value: Uint8Array): unknown {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString('utf8'))
    return typeof parsed === 'object' ? parsed : null
  } catch {
    return null
  }
}
