/**
 * What an app is: one plain value, free of connections, that says which databases it has, how it is configured and
 * how its HTTP server is made. `open` gives it life in this process; `fourfold start` runs it as a system.
 */

import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getCallSites } from 'node:util'

import type { AppOptions, DatabaseOptions } from './config.ts'
import type { Fourfold } from './fourfold.ts'
import type { ObjectDefinition } from '../cache/define-object.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import type { PageDefinition } from '../pages/define-page.ts'
import type { BakeRoute } from '../pages/route-source.ts'
import type { Session } from '../sessions/session.ts'
import type { RequestListener, Server } from 'node:http'

declare const schema: unique symbol

/** One database of an app, with its schema as a type. Made by {@link database}. */
export type DatabaseDefinition<Schema> = DatabaseOptions & { readonly [schema]?: Schema }

export type DatabaseDefinitions = Readonly<Record<string, DatabaseDefinition<any>>>

/** The schemas of an app's databases, by name. */
export type SchemasOf<Databases extends DatabaseDefinitions> = {
  readonly [Name in keyof Databases]: Databases[Name] extends DatabaseDefinition<infer Schema> ? Schema : never
}

/** What `identify` sees of a request. */
export interface IncomingRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly session: Session
}

export interface SeedOptions {
  /** True when `fourfold start` fills an empty database by itself: a small amount is meant. */
  readonly first: boolean
  /** What stands on the command line, such as `--users 2000`: `{ users: '2000' }`. */
  readonly arguments: Readonly<Record<string, string>>
  /** Tells how far it is, 0 to 1, and at what: drawn as a bar. */
  readonly progress: (fraction: number, what: string) => void
}

/** Anything that answers HTTP requests: a Fastify instance, a `node:http` server, or a listener for one. */
export type AppServer = FastifyLike | Server | RequestListener

interface FastifyLike {
  listen(options: { host: string; port: number }): Promise<string>
  close(): PromiseLike<unknown>
  readonly server: Pick<Server, 'address'>
}

export interface AppDefinition<Databases extends DatabaseDefinitions> extends Omit<
  AppOptions,
  'databases' | 'identify' | 'objects' | 'pages' | 'bakeRoutes' | 'jobs' | 'seed' | 'server'
> {
  readonly databases: Databases
  /** Who the reader of a request is, where that is not the session: a stable key such as `user:7`, or null. */
  readonly identify?: (request: IncomingRequest) => string | null | Promise<string | null>
  /** The cached objects: their names and classes are then known from the start. Others become known when first used. */
  readonly objects?: readonly ObjectDefinition[]
  /** The pages that are baked in advance. They are answered before any route of `server`. */
  readonly pages?: readonly PageDefinition[]
  /** Routes of `server` that are baked too, without a rewrite: `['/legacy/*']`. What they read through `request.ff` ends them. */
  readonly bakeRoutes?: readonly (string | BakeRoute)[]
  /** How jobs are done: what `defineJob(…).handle(…)` answers. */
  readonly jobs?: readonly JobDefinition[]
  /** Fills the database. */
  readonly seed?: (ff: Fourfold<SchemasOf<Databases>>, options: SeedOptions) => Promise<void>
  /** Makes the HTTP server of one clone. It must not listen: the clone does. */
  readonly server?: (ff: Fourfold<SchemasOf<Databases>>) => AppServer | Promise<AppServer>
}

export interface App<Databases extends DatabaseDefinitions = DatabaseDefinitions> {
  readonly definition: AppDefinition<Databases>
  /** The folder of the file that defines the app: relative paths in the definition are meant from here. */
  readonly directory: string
}

const appMark = Symbol.for('fourfold.app')

/**
 * Declares an app.
 *
 * ```ts
 * export default defineApp({ databases: { main: database<Schema>({ migrations: './migrations' }) }, server })
 * ```
 */
export function defineApp<Databases extends DatabaseDefinitions>(definition: AppDefinition<Databases>): App<Databases> {
  return Object.assign({ definition, directory: callerDirectory() }, { [appMark]: true })
}

/** Declares a database; the type parameter carries its schema to every query. Without `url` it is embedded. */
export function database<Schema>(options: DatabaseOptions = {}): DatabaseDefinition<Schema> {
  return options
}

/** Whether a value was made by {@link defineApp}, of this copy of the package or another. */
export function isApp(value: unknown): value is App {
  return typeof value === 'object' && value !== null && appMark in value
}

/** The folder of the file that called this module's caller. */
function callerDirectory(): string {
  const script = getCallSites(3)[2]?.scriptName ?? ''
  if (script.startsWith('file:')) return dirname(fileURLToPath(script))
  return script.startsWith('/') ? dirname(script) : process.cwd()
}
