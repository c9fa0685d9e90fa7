/** The settings of rollouts: how a new build is tried before it gets requests, and how many are kept. */

import type { ConfigProblem } from '../../core/config.ts'

export const rolloutSchema = {
  kind: 'group',
  summary: 'How a new build takes over from the one before: `fourfold rollout`.',
  fields: {
    check: {
      kind: 'list',
      of: { kind: 'text', summary: 'A path.' },
      default: ['/'],
      summary:
        'Paths that every clone of a new build is asked for before it gets requests: it must answer each with a status below 500. They also warm it.',
    },
    checkTimeout: { kind: 'duration', default: '10s', summary: 'How long each of these answers may take.' },
    keep: {
      kind: 'number',
      min: 2,
      max: 100,
      default: 5,
      summary: 'How many builds are kept on disc, so that their assets stay reachable.',
    },
  },
} as const

export function checkPaths(paths: readonly (string | undefined)[]): readonly ConfigProblem[] {
  return paths.flatMap((path, index) => {
    if (path === undefined || path.startsWith('/')) return []
    return [
      { path: `rollout.check[${index}]`, message: `expected a path that begins with "/", got ${JSON.stringify(path)}` },
    ]
  })
}
