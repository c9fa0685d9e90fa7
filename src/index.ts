/** `fourfold`: declaring an app, opening it, and the errors and types that come with it. */

export { database, defineApp, isApp } from './app/define-app.ts'
export type {
  App,
  AppDefinition,
  AppServer,
  DatabaseDefinition,
  DatabaseDefinitions,
  IncomingRequest,
  SchemasOf,
  SeedOptions,
} from './app/define-app.ts'
export { open } from './app/open.ts'
export type { OpenOptions } from './app/open.ts'
export type { Connections, DatabaseConnections } from './app/connections.ts'
export type { AsOptions, Fourfold, Schemas } from './app/fourfold.ts'
export type { AppOptions, DatabaseOptions, ResolvedConfig } from './app/config.ts'
export { define } from './app/define.ts'
export type { Definitions } from './app/define.ts'
export { defineObject } from './cache/define-object.ts'
export type { LoadContext, LoadTools, ObjectDefinition, ObjectOptions } from './cache/define-object.ts'
export type { Cache, GetOptions as CacheGetOptions } from './cache/cache.ts'
export type { Explanation } from './cache/explain.ts'
export { loader } from './cache/join/loader.ts'
export type { Loader, LoaderOptions } from './cache/join/loader.ts'
export { many, one, table } from './cache/join/spec.ts'
export type { LinkOptions, ManyOptions, OneOptions, TableLink, TableRef } from './cache/join/spec.ts'
export type { Joined, JoinFunction, JoinOptions } from './cache/join/types.ts'
export type { SourceMetrics } from './cache/metrics.ts'
export type { Database } from './database/database.ts'
export { FourfoldError, isFourfoldError } from './core/errors.ts'
export type { ErrorCode } from './core/errors.ts'
export type { Logger } from './core/log.ts'
export type {
  AnswerOptions,
  ByteRange,
  FileAnswer,
  FileRequest,
  Files,
  FileSource,
  GetOptions,
  OpenedFile,
  PutOptions,
  StoredFile,
} from './files/files.ts'
export type { Level } from './freshness/level.ts'
export type { ReaderSource } from './freshness/reader.ts'
export { definePage } from './pages/define-page.ts'
export type {
  EdgeOptions,
  PageContext,
  PageDefinition,
  PageOptions,
  PageTools,
  ParamsOf,
  Rendered,
} from './pages/define-page.ts'
export { defineJob, JobFailure } from './jobs/define-job.ts'
export type {
  ConcurrencyOptions,
  InputOf,
  JobContext,
  JobContract,
  JobDefinition,
  JobOptions,
  OutputOf,
  RateLimitOptions,
  RetryOptions,
  ScheduleOptions,
  UniqueOptions,
} from './jobs/define-job.ts'
export type { EnqueueOptions, Jobs, WaitOptions } from './jobs/jobs.ts'
export type { JobStatus } from './jobs/status.ts'
export type { StandardSchema } from './jobs/standard-schema.ts'
export type { Session } from './sessions/session.ts'
export type { Store } from './store/store.ts'
