/** The workers of a system as a group of its supervisor, and how many there are. */

import { hasBaked } from './baking.ts'
import { hasJobs } from './jobs.ts'
import { publishingArguments } from './publishing.ts'
import { appSettings, processEntry, type CloneGroupOptions } from './groups.ts'

import type { GroupOptions } from '../clones/supervisor.ts'
import type { ResolvedConfig } from './config.ts'
import type { App } from './define-app.ts'

export const workerKind = 'worker'

/** One, where there is anything to do and nothing else is asked for. */
export function workerCount(app: App<any>, { workers }: ResolvedConfig): number {
  return workers.count ?? (hasBaked(app) || hasJobs(app) ? 1 : 0)
}

const lastWordsMs = 8_000
/** Node warns whoever lets threads begin; here they are restricted as their process is. */
const threadArguments = ['--allow-worker', '--disable-warning=PERM0006']

/** Like the clones, and without requests. */
export function workerGroup(options: CloneGroupOptions, count: number): GroupOptions {
  const { config, build = null } = options
  const { writes } = config.clones
  const settings = appSettings(options)
  return {
    kind: workerKind,
    count,
    ...(build === null ? {} : { buildId: build.id }),
    spec: (index) => ({
      entry: processEntry('worker'),
      settings: { ...settings, name: `${workerKind}-${index}` },
      writes,
      // What runs has its time, and then what is to be said of it.
      graceMs: config.workers.graceMs + lastWordsMs,
      // Nobody else may write to where pages are published, or begin threads: those are for jobs that compute.
      nodeArguments: writes === 'refuse' ? [...publishingArguments(config), ...threadArguments] : [],
    }),
  }
}
