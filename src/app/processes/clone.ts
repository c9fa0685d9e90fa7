/** The process of one clone: opens the app with the addresses it was handed and serves it until told to stop. */

import { listenApp } from '../app-server.ts'
import { loadApp } from '../load-app.ts'
import { open } from '../open.ts'
import { readSettings, serveClone } from '../../clones/child.ts'
import { createLogger, type LogLevel } from '../../core/log.ts'

import type { AppOptions } from '../config.ts'
import type { Connections } from '../connections.ts'
import type { WritePolicy } from '../../clones/permissions.ts'

export interface CloneSettings {
  readonly name: string
  readonly appFile: string
  readonly connections: Connections
  /** What the command line said: it wins over the app and the environment. */
  readonly config: AppOptions
  readonly writes: WritePolicy
  readonly logLevel: LogLevel
}

const settings = readSettings<CloneSettings>()
const log = createLogger({ level: settings.logLevel, name: settings.name })

await serveClone({
  writes: settings.writes,
  log,
  listen: async () => {
    const app = await loadApp(settings.appFile)
    const ff = await open(app, { connections: settings.connections, config: settings.config, log })
    const listener = await listenApp(app, ff)
    return {
      ...listener,
      close: async () => {
        await listener.close()
        await ff.close()
      },
    }
  },
})
