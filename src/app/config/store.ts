/** The settings of the central store: which server it is, and how long it may take. */

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const storeSchema = {
  kind: 'group',
  summary: 'The central store: sessions, freshness tokens, leases, the registry of processes.',
  fields: {
    url: {
      kind: 'text',
      url: true,
      summary:
        'Address of a Redis or Valkey server (`redis://…`), or of a PostgreSQL primary (`postgres://…`). Without it the store is embedded: a process of its own that Fourfold starts.',
    },
    database: {
      kind: 'text',
      summary:
        "The name of one of the app's databases, whose primary is then the store as well: for apps that run nothing else.",
    },
    deadline: {
      kind: 'duration',
      default: '250ms',
      summary: 'How long the store may take to answer. After that the call fails, and reads go on without it.',
    },
  },
} as const

type ResolvedStore = OutputOf<typeof storeSchema>

/** What no field can see by itself. */
export function checkStore({ url, database }: Incomplete<ResolvedStore>, names: string[]): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (url !== undefined && !/^(?:rediss?:\/\/|postgres(?:ql)?:\/\/|unix:)/.test(url)) {
    const message = 'expected an address that begins with redis://, rediss:// or postgres://'
    problems.push({ path: 'store.url', message })
  }
  if (database !== undefined && url !== undefined) {
    problems.push({ path: 'store.database', message: 'expected it alone, got store.url too: the store is one server' })
  }
  if (database !== undefined && !names.includes(database)) {
    const known = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`
    problems.push({ path: 'store.database', message: `expected the name of one of the app's databases; ${known}` })
  }
  return problems
}
