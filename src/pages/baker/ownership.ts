/**
 * Which worker looks after which buckets: rendezvous hashing (Thaler and Ravishankar, 1998) over the workers that the
 * registry knows. Each finds out by itself, nobody decides, and a worker that comes or goes moves its own share alone.
 *
 * Two workers may see different members for a moment and look after the same bucket: then both want to bake, and the lease
 * of the entry lets one of them. A bucket that nobody looks after is found over by its next owner.
 */

import { bucketCount } from '../catalogue.ts'

/** For each bucket whether `self` is its owner among `members`. */
export function ownedBuckets(self: string, members: readonly string[]): Uint8Array {
  const owned = new Uint8Array(bucketCount)
  const others = members.filter((member) => member !== self).map((member) => [member, seedOf(member)] as const)
  const own = seedOf(self)
  for (let bucket = 0; bucket < bucketCount; bucket += 1) {
    const score = scoreOf(own, bucket)
    const isGreatest = others.every(([member, seed]) => {
      const other = scoreOf(seed, bucket)
      return score > other || (score === other && self > member)
    })
    owned[bucket] = isGreatest ? 1 : 0
  }
  return owned
}

function seedOf(member: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < member.length; at += 1) hash = Math.imul(hash ^ member.charCodeAt(at), 0x01000193)
  return hash | 0
}

function scoreOf(seed: number, bucket: number): number {
  let hash = seed ^ Math.imul(bucket + 1, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
