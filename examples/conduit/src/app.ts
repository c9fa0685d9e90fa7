/**
 * Conduit: the RealWorld project's shared app, a small Medium, on Fourfold. This file is the whole system in one
 * value; `fourfold start` runs it on several clones, with a PostgreSQL primary and replica of its own.
 */
import { database, defineApp, type App, type Fourfold, type Level } from 'fourfold'
import { fileRoutes, fourfold } from 'fourfold/fastify'
import { pages as bakedPages } from './baked/index.ts'
import { identify } from './identify.ts'
import { jobs } from './jobs/index.ts'
import { objects } from './objects/index.ts'
import type { Schema } from './schema.ts'
import { readSeedOptions } from './seed/options.ts'
import { seed } from './seed/seed.ts'
import { createServer } from './server.ts'

/** How fresh: the API's clients act on each other's writes at once, the pages' readers on their own. */
const levels: { api: Level; pages: Level } = { api: 'strict', pages: 'session' }

/** Conduit at these levels. */
export function defineConduit({ api, pages }: { api: Level; pages: Level }): ConduitApp {
  return defineApp({
    databases: { main: database<Schema>({ migrations: '../migrations' }) },
    store: {},
    clones: { min: 2, max: 8 },
    // Far larger than what Conduit takes, so that its own 413 answers, in its own shape; nobody holds what is streamed.
    balancer: { bodyLimit: '1GiB' },
    level: pages,
    objects,
    pages: bakedPages,
    jobs,
    identify,
    seed: async (ff, options) => seed(ff.databases.main, readSeedOptions(options), options.progress),
    server: async (ff) =>
      createServer({
        secrets: secretsOf(ff),
        attach: async (server) => {
          await server.register(fourfold, { ff, level: { '/api': api } })
          await server.register(fileRoutes, { ff })
        },
      }),
  })
}

type ConduitApp = App<{ main: ReturnType<typeof database<Schema>> }>

/** The app's secrets, or, where they were made for development, what only their holder can sign. */
function secretsOf(ff: Pick<Fourfold, 'config' | 'sessions'>): readonly string[] {
  const { secrets } = ff.config.sessions
  return secrets?.length ? secrets : [ff.sessions.signer.sign('reader', 'conduit api token')]
}

export default defineConduit(levels)
