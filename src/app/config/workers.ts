/** The settings of workers: how many do jobs and bake, and what each may take. */

export const workersSchema = {
  kind: 'group',
  numberSets: ['count'],
  summary: 'The processes that do jobs, and bake pages and objects ahead of demand. A bare number sets `count`.',
  fields: {
    count: {
      kind: 'number',
      min: 0,
      max: 256,
      summary:
        'How many are started. Default: 1 where the app has jobs, or pages or objects that are baked, else none.',
    },
    concurrency: {
      kind: 'number',
      min: 1,
      max: 1000,
      default: 10,
      summary: 'How many jobs each runs at the same time.',
    },
    threads: {
      kind: 'number',
      min: 1,
      max: 64,
      default: 1,
      summary: 'How many jobs with `thread: true` each runs at the same time; each thread opens the app for itself.',
    },
    threadMemory: { kind: 'bytes', default: '256MiB', summary: 'How much memory such a thread may use for objects.' },
    grace: {
      kind: 'duration',
      default: '10s',
      zero: true,
      summary: 'How long the jobs of a worker that is stopped have to end, before they are handed to another.',
    },
  },
} as const
