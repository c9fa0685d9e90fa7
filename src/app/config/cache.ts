/** The settings of caches: how much each process keeps, and the tier that clones share. */

import type { ConfigProblem } from '../../core/config.ts'

export const cacheSchema = {
  kind: 'group',
  summary: 'Where cached objects and queries are kept: in each process, and in a tier that all clones share.',
  fields: {
    memory: {
      kind: 'bytes',
      summary:
        'How much each process keeps, by an estimate; what was used least lately goes first. Default: an eighth of the heap that V8 allows itself, from 32 MiB to 256 MiB.',
    },
    tierUrl: {
      kind: 'text',
      url: true,
      summary:
        "The tier that clones share: `redis://…`, `memcached://host:11211` or `none`. Default: the app's own store where that is the embedded one or Redis; none where it is PostgreSQL.",
    },
    compressAbove: {
      kind: 'bytes',
      default: '4KiB',
      summary: 'Values from so many bytes on are compressed for the shared tier.',
    },
  },
} as const

export function checkTier(url: string | undefined): readonly ConfigProblem[] {
  if (url === undefined || url === 'none' || /^(?:rediss?|memcached):\/\//.test(url)) return []
  const message = 'expected none, or an address that begins with redis://, rediss:// or memcached://'
  return [{ path: 'cache.tierUrl', message }]
}
