/**
 * The one schema of an app's configuration, put together from its areas. Types, validation, defaults, the environment's
 * names and `docs/reference/configuration.md` all come from it; a setting is added to its area's file and nowhere else.
 */

import { bakingSchema } from './baking.ts'
import { balancerSchema } from './balancer.ts'
import { cacheSchema } from './cache.ts'
import { clonesSchema } from './clones.ts'
import { databaseSchema } from './database.ts'
import { filesSchema } from './files.ts'
import { publishSchema } from './publish.ts'
import { queueSchema } from './queue.ts'
import { rolloutSchema } from './rollout.ts'
import { sessionsSchema } from './sessions.ts'
import { storeSchema } from './store.ts'
import { workersSchema } from './workers.ts'

export const appSchema = {
  kind: 'group',
  summary: 'An app.',
  fields: {
    databases: {
      kind: 'record',
      name: 'name',
      summary: "The databases by name; `ff.databases.<name>` is each one's Kysely instance.",
      of: databaseSchema as typeof databaseSchema,
    },
    store: storeSchema as typeof storeSchema,
    cache: cacheSchema as typeof cacheSchema,
    sessions: sessionsSchema as typeof sessionsSchema,
    files: filesSchema as typeof filesSchema,
    clones: clonesSchema as typeof clonesSchema,
    workers: workersSchema as typeof workersSchema,
    queue: queueSchema as typeof queueSchema,
    baking: bakingSchema as typeof bakingSchema,
    publish: publishSchema as typeof publishSchema,
    rollout: rolloutSchema as typeof rolloutSchema,
    balancer: balancerSchema as typeof balancerSchema,
    level: {
      kind: 'choice',
      options: ['eventual', 'session', 'monotonic', 'strict'],
      default: 'session',
      summary: 'The freshness level of reads that name none.',
    },
    dataDir: {
      kind: 'text',
      default: '.fourfold',
      summary: 'Where embedded servers keep their data, relative to the working directory.',
    },
    logLevel: {
      kind: 'choice',
      options: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
      summary: 'The least important log lines that are written.',
    },
    identify: {
      kind: 'code',
      summary: 'Answers who the reader of a request is, where that is not the session: `(request) => string | null`.',
    },
    objects: { kind: 'code', list: true, summary: 'The cached objects: `[article, profile]`.' },
    bakeRoutes: {
      kind: 'code',
      list: true,
      summary: "Routes of `server` that are baked as nobody sees them: `['/legacy/*']`.",
    },
    jobs: {
      kind: 'code',
      list: true,
      summary: 'How jobs are done: `[runExport]`, each made by `defineJob(…).handle(…)`.',
    },
    pages: { kind: 'code', list: true, summary: 'The pages that are baked in advance: `[articlePage]`.' },
    seed: { kind: 'code', summary: 'Fills the database: `async (ff, options) => …`. Run by `fourfold seed`.' },
    server: { kind: 'code', summary: 'Makes the HTTP server: `async (ff) => …`.' },
  },
} as const
