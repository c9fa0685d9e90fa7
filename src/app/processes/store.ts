/**
 * The process of the embedded store, one per data directory. It says that it is ready when it serves, ends when it is
 * told to, and within a second when its supervisor is gone. A log that cannot be written ends it too: the supervisor
 * starts the next one, which begins with what is in the log.
 */

import { failToStart, readSettings, watchParent } from '../../clones/child.ts'
import { createLogger, type LogLevel } from '../../core/log.ts'
import { startStoreServer, type StoreServer } from '../../store/memory/server.ts'

interface StoreSettings {
  readonly socketPath: string
  readonly logPath: string
  readonly logLevel?: LogLevel
  readonly compactBytes?: number
}

const settings = readSettings<StoreSettings>()
const log = createLogger({ name: 'store', level: settings.logLevel ?? 'info' })
let server: StoreServer | undefined
const parent = watchParent({ stop: async () => server?.stop() })

try {
  // Its clients read every error; what is left for this process is to end, so that it is started again.
  server = await startStoreServer({ ...settings, log, onFailure: () => process.exit(1) })
  parent.send({ type: 'ready', address: { path: settings.socketPath }, buildId: '' })
} catch (error) {
  await failToStart(error, log)
}
