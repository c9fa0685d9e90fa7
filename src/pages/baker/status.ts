/** What workers tell of themselves: for people, and for `fourfold bake`. */

import { bakerGroup, decodeBaker } from './members.ts'

import type { Store } from '../../store/store.ts'

export interface FailingBake {
  /** The page's address, or the object's name and key. */
  readonly what: string
  readonly error: string
  /** In a row. */
  readonly failures: number
}

/** What one worker says. */
export interface BakerStatus {
  /** Entries that it looks after. */
  readonly entries: number
  /** Touched, and not baked yet. */
  readonly waiting: number
  readonly baked: number
  readonly failed: number
  /** Touched when too many waited: left to whoever asks. */
  readonly left: number
  /** How many of them fail. */
  readonly failing: number
  /** Some of those. */
  readonly failures: readonly FailingBake[]
}

/** What all workers of a build say. */
export interface BakingStatus extends BakerStatus {
  readonly workers: number
}

/** @param build null: of all builds */
export async function readBakingStatus(store: Store, build: string | null): Promise<BakingStatus> {
  const view = await store.readRegistry(bakerGroup)
  const told = (view?.entries ?? []).flatMap(({ value }) => decodeBaker(value) ?? [])
  const all = told.filter((baker) => build === null || baker.build === build).map(({ status }) => status)
  const sum = (count: (status: BakerStatus) => number): number =>
    all.reduce((total, status) => total + count(status), 0)
  return {
    workers: all.length,
    entries: sum(({ entries }) => entries),
    waiting: sum(({ waiting }) => waiting),
    baked: sum(({ baked }) => baked),
    failed: sum(({ failed }) => failed),
    left: sum(({ left }) => left),
    failing: sum(({ failing }) => failing),
    failures: all.flatMap(({ failures }) => failures),
  }
}

/** The builds whose workers live. */
export async function readBakedBuilds(store: Store): Promise<readonly string[]> {
  const view = await store.readRegistry(bakerGroup)
  return [...new Set((view?.entries ?? []).flatMap(({ value }) => decodeBaker(value)?.build ?? []))]
}
