/**
 * The process of the trackers: one for each database whose changes are followed. It may die at any line; whoever comes
 * next, here or on another host, goes on where it was. While there is none, nothing is wrong: reads of the cache go to
 * the database.
 */

import { failToStart, readSettings, watchParent } from '../../clones/child.ts'
import { createLogger } from '../../core/log.ts'
import { startTrackers, type TrackerSettings } from '../trackers.ts'
import { connectAppStore } from '../store-address.ts'

import type { Store } from '../../store/store.ts'

const { config, connections } = readSettings<TrackerSettings>()
const log = createLogger({ name: 'tracker', level: config.logLevel })
let stopTrackers: (() => Promise<void>) | undefined
let store: Store | undefined
const parent = watchParent({
  stop: async () => {
    await stopTrackers?.()
    await store?.close()
  },
})

try {
  store = await connectAppStore(connections, { deadlineMs: config.store.deadlineMs, log })
  stopTrackers = startTrackers({ config, connections, store, log })
  // It listens nowhere: whoever needs it reads the store.
  parent.send({ type: 'ready' })
} catch (error) {
  await failToStart(error, log)
}
