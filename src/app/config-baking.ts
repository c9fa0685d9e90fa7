/** The part of the configuration that is about pages and workers: what is loaded ahead of demand, by whom, and who is answered by the balancer. */

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

export const bakingSchema = {
  kind: 'group',
  summary: 'Pages, and objects that are baked.',
  fields: {
    memory: {
      kind: 'bytes',
      default: '256MiB',
      summary:
        'How much of the pages the balancer keeps; those asked for least lately go first. 0: clones answer all of them.',
    },
    atOnce: {
      kind: 'number',
      min: 1,
      max: 64,
      default: 2,
      summary: 'How many a worker bakes at the same time.',
    },
    backlog: {
      kind: 'number',
      min: 0,
      default: 1000,
      summary:
        'How many wait for a worker at most; those that are read most come first. After a bulk change the rest is baked when somebody asks.',
    },
    credentialHeaders: {
      kind: 'list',
      of: { kind: 'text', summary: 'A header.' },
      default: [],
      summary:
        'Headers besides `Authorization` by which your `identify` knows somebody: requests that carry one are answered by a clone.',
    },
    ignoreCookies: {
      kind: 'list',
      of: { kind: 'text', summary: 'A name, or the beginning of one with a `*` behind it.' },
      default: [],
      summary:
        'Cookies that say nothing about who the reader is, such as `_ga*`. Counts for apps with `identify`: a request with any other cookie that is not ours is answered by a clone.',
    },
  },
} as const
