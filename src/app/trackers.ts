/** The trackers of an app's databases. Of all processes of a system, one loads this. */

import { startTracker } from '../freshness/tracker/tracker.ts'
import { settingsOf, type OpenDatabasesOptions } from './databases.ts'

import type { ResolvedConfig, ResolvedDatabase } from './config.ts'
import type { Connections } from './connections.ts'
import type { Tracking } from '../engines/postgres/changes/tables.ts'

export type TrackersOptions = Omit<OpenDatabasesOptions, 'closers'>

/** What a process of trackers is told: plain data. */
export interface TrackerSettings {
  readonly config: ResolvedConfig
  readonly connections: Connections
}

/** Starts the trackers of all databases whose changes are followed; answers what stops them. */
export function startTrackers({ config, connections, store, log }: TrackersOptions): () => Promise<void> {
  const followed = Object.entries(connections.databases).filter(([, { changes }]) => changes === true)
  const trackers = followed.map(([name, { direct }]) => {
    const settings = settingsOf(config, name)
    const trackingOf = trackingIn(settings)
    return startTracker({ database: name, address: direct, store, trackingOf, ddl: settings.ddl, log })
  })
  return async () => {
    await Promise.all(trackers.map((tracker) => tracker.stop()))
  }
}

function trackingIn({ tracking }: ResolvedDatabase): (schema: string, name: string) => Tracking {
  const tables = (tracking.tables ?? {}) as Readonly<Record<string, Tracking>>
  return (schema, name) => tables[`${schema}.${name}`] ?? tables[name] ?? tracking.default
}
