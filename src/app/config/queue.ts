/** The settings of the queue: where jobs are kept, and for how long. */

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const queueSchema = {
  kind: 'group',
  summary: 'Where jobs are kept, and for how long.',
  fields: {
    database: {
      kind: 'text',
      summary: 'The database that keeps them: orders can be part of its transactions. Default: the first.',
    },
    recoverWithin: {
      kind: 'duration',
      default: '15s',
      summary: 'Within how long the jobs of a worker that died are begun by another: 2 s at least.',
    },
    keep: {
      kind: 'duration',
      default: '7d',
      summary: 'How long finished jobs are kept; they go in eighths, so up to a seventh longer.',
    },
    keepUpTo: { kind: 'bytes', default: '1GiB', summary: 'How much room finished jobs take at most.' },
    failedFor: { kind: 'duration', default: '21d', summary: 'How long jobs that have failed are kept.' },
    path: { kind: 'text', default: '/jobs', summary: 'Where readers find the jobs that they have ordered.' },
  },
} as const

type ResolvedQueue = OutputOf<typeof queueSchema>

/** What no field can see by itself. */
export function checkQueue(queue: Incomplete<ResolvedQueue>, names: string[]): readonly ConfigProblem[] {
  const { database, recoverWithinMs, path } = queue
  const problems: ConfigProblem[] = []
  if (database !== undefined && !names.includes(database)) {
    const known = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`
    problems.push({ path: 'queue.database', message: `expected the name of one of the app's databases; ${known}` })
  }
  if (recoverWithinMs !== undefined && recoverWithinMs < 2_000) {
    problems.push({ path: 'queue.recoverWithin', message: `expected at least 2s, got ${recoverWithinMs} ms` })
  }
  if (path !== undefined && !/^(?:\/[\w.~-]+)+$/.test(path)) {
    problems.push({ path: 'queue.path', message: `expected a path such as "/jobs", got ${JSON.stringify(path)}` })
  }
  return problems
}
