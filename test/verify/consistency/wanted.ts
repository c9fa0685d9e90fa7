/** What is read, and where answers of the cache came from. */

import { counters, groupOf, groups, pickOne, posts, shaped } from './write-kinds.ts'

import type { Wanted } from './app.ts'
import type { ReadLine } from './history.ts'

export const cachedReads = ['object', 'object', 'object', 'objects', 'board', 'row', 'rows', 'sum'] as const
export const uncachedReads = ['row', 'row', 'rows', 'sum'] as const

/** Some rows are read more than others. */
export function pickWanted(kind: Wanted['kind'], late: readonly string[]): Wanted {
  const group = Math.floor(Math.random() * groups)
  switch (kind) {
    case 'sum':
      return wantedOf(kind, groupOf(counters, group), group)
    case 'rows':
      return wantedOf(kind, groupOf(pickOne([counters, posts]), group), group)
    case 'objects':
      return wantedOf(kind, counters.slice(group * 3, group * 3 + 4))
    case 'board':
      return wantedOf(kind, [counters[group]!, posts[group]!])
    case 'object':
      return wantedOf(kind, [pickSkewed(pickOne([counters, counters, posts, posts, shaped]))])
    default:
      // The newest tables, which have hardly joined.
      if (late.length > 0 && Math.random() < 0.15) return wantedOf('row', [pickOne(late.slice(-2))])
      return wantedOf('row', [pickSkewed(pickOne([counters, posts, posts, shaped]))])
  }
}

export function wantedOf(kind: Wanted['kind'], keys: readonly string[], group = 0): Wanted {
  return { kind, cached: false, table: keys[0]!.split('/')[0]!, keys, group, variant: 0, once: false }
}

function pickSkewed<Value>(values: readonly Value[]): Value {
  return values[Math.floor(Math.random() ** 2 * values.length)]!
}

/** From the field `Cache-Status` of one look-up, or of several: what served the one that came from furthest away. */
export function servedBy(status: string): Pick<ReadLine, 'tier' | 'server' | 'note'> {
  const members = status.split(', ').filter((member) => /; (hit|fwd)/.test(member))
  const detailOf = (member: string): string => /; detail=([\w-]+)/.exec(member)?.[1] ?? '?'
  const load = members.find((member) => member.includes('; fwd=') && !member.includes('; collapsed'))
  const server = (load ?? members[0] ?? '').endsWith('; replica') ? 'replica' : ''
  if (load !== undefined) return { tier: 'load', server, note: detailOf(load) }
  const details = members.map(detailOf)
  const tier = (['tier', 'joined', 'previous', 'memory'] as const).find((one) => details.includes(one))
  return { tier: tier ?? '', server }
}
