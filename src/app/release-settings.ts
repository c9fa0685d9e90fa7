/** Which settings of a new build a rollout can bring, by comparing them with those of the system that runs. */

import type { ResolvedConfig } from './config.ts'

export interface Misfits {
  /** What the whole system stands on: a rollout that changes it cannot begin. */
  readonly refused: readonly string[]
  /** What belongs to processes that a rollout leaves alone. */
  readonly later: readonly string[]
}

/** Settings of a database that clones read for themselves: these a rollout brings. */
const perClone = new Set([
  'level',
  'replicaWaitMs',
  'maxStalenessMs',
  'statementTimeoutMs',
  'connectTimeoutMs',
  'onPrimaryDown',
  'migrations',
])

/** The settings that differ, by their paths. */
export function misfits(running: ResolvedConfig, fresh: ResolvedConfig): Misfits {
  const names = new Set([...Object.keys(running.databases), ...Object.keys(fresh.databases)])
  const databases = [...names].flatMap((name) =>
    differing(`databases.${name}`, running.databases[name], fresh.databases[name]).filter(
      (path) => !perClone.has(path.split('.').at(-1) ?? ''),
    ),
  )
  const store = differing('store', running.store, fresh.store).filter(
    (path) => path === 'store.url' || path === 'store.database',
  )
  const balancer = differing('balancer', running.balancer, fresh.balancer)
  const counts = differing('clones', running.clones, fresh.clones).filter((path) => /\.(?:min|max)$/.test(path))
  return { refused: [...databases, ...store], later: [...balancer, ...counts] }
}

type Settings = Readonly<Record<string, unknown>> | undefined

/** The paths of the fields that differ; the path itself where one side is not there at all. */
function differing(path: string, one: Settings, other: Settings): string[] {
  if (one === undefined || other === undefined) return one === other ? [] : [path]
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...keys]
    .filter((key) => JSON.stringify(one[key]) !== JSON.stringify(other[key]))
    .map((key) => `${path}.${key}`)
}
