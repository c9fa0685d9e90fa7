/** The part of the configuration that is about where jobs are kept, and for how long. */

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
