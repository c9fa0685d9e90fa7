/** `ff.files`, as the configuration says: in a database, for each scope with its own reader, or in S3. */

import { createFiles } from '../files/create-files.ts'
import { createS3Driver } from '../files/s3/s3-driver.ts'
import { createSqlDriver, type SqlTables } from '../files/sql/sql-driver.ts'
import { createSweeper } from '../files/sweeper.ts'
import { FourfoldError } from '../core/errors.ts'
import { Scope } from '../freshness/scope.ts'

import type { ResolvedFiles } from './config/files.ts'
import type { Logger } from '../core/log.ts'
import type { Cluster } from '../database/cluster.ts'
import type { FileDriver } from '../files/driver.ts'
import type { Files } from '../files/files.ts'

export interface AppFiles {
  /** The files for one scope. Cheap: what they hold on to is shared. */
  of(scope: Scope): Files
  close(): Promise<void>
}

export interface AppFilesOptions {
  readonly settings: ResolvedFiles
  readonly clusters: Readonly<Record<string, Cluster>>
  readonly log: Logger
}

type DriverOf = (scope: Scope) => FileDriver

/** Connects to nothing yet. */
export function createAppFiles({ settings, clusters, log }: AppFilesOptions): AppFiles {
  const driverOf =
    settings.s3.bucket === undefined ? sqlDrivers(settings, clusters) : s3Drivers(settings, settings.s3.bucket)
  const shared = { maxBytes: settings.maxSizeBytes, path: settings.path, log }
  const nobody = new Scope({ level: 'strict', reader: null })
  const root = driverOf(nobody)
  const sweeper = createSweeper({ sweep: () => createFiles({ ...shared, driver: root }).sweep(), log })
  return {
    of: (scope) => createFiles({ ...shared, driver: driverOf(scope), changed: sweeper.changed }),
    close: async () => {
      await sweeper.close()
      await root.close()
    },
  }
}

/** A scope's reads go where its reader's writes are, and its writes move its reader's token. */
function sqlDrivers({ database }: ResolvedFiles, clusters: AppFilesOptions['clusters']): DriverOf {
  const cluster = clusters[database]
  if (cluster === undefined) return () => createSqlDriver({ run: () => Promise.reject(noPlace(database)) })
  const tables: SqlTables = { ready: null }
  const nobody = new Scope({ level: 'strict', reader: null })
  return (scope) =>
    createSqlDriver({
      run: (text, values) => cluster.run(scope, text, values),
      runOnPrimary: (text, values) => cluster.run(nobody, text, values),
      tables,
    })
}

function s3Drivers({ s3 }: ResolvedFiles, bucket: string): DriverOf {
  const driver = createS3Driver({ ...s3, bucket })
  return () => driver
}

function noPlace(database: string): FourfoldError {
  const message = `files.database: expected a database that keeps the files, and there is no ${JSON.stringify(database)}: name one, or set files.s3.bucket`
  return new FourfoldError('FF_FILES_ARGUMENT', message)
}
