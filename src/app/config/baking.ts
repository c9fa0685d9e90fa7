/** The settings of baking: what the balancer keeps of pages, how much a worker bakes, and which requests go to clones. */

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
