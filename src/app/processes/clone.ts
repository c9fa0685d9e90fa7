/**
 * The process of one clone: opens the app with the addresses it was handed and serves it until told to stop. It says
 * which build it is by what it finds on disc, not by what it was told.
 */

import { listenApp } from '../app-server.ts'
import { listenAnnounced, type HostsCloneSettings } from '../hosts-clone.ts'
import { loadApp } from '../load-app.ts'
import { open } from '../open.ts'
import { configSchemaText } from '../config.ts'
import { quarantine } from '../../clones/build/quarantine.ts'
import { resolveFromOrigin } from '../../clones/build/snapshot-modules.ts'
import { checkBuild } from '../../clones/build/snapshot.ts'
import { readSettings, serveClone } from '../../clones/child.ts'
import { createLogger, type LogLevel } from '../../core/log.ts'

import type { AppOptions } from '../config.ts'
import type { Connections } from '../connections.ts'
import type { Build } from '../../clones/build/snapshot.ts'
import type { WritePolicy } from '../../clones/permissions.ts'

export interface CloneSettings {
  readonly name: string
  readonly appFile: string
  /** Absent where the app runs from its own files. */
  readonly build?: Build
  readonly connections: Connections
  /** What the command line said: it wins over the app and the environment. */
  readonly config: AppOptions
  readonly writes: WritePolicy
  readonly logLevel: LogLevel
  /** Balancers of other hosts send it requests. Absent: only this host's. */
  readonly hosts?: HostsCloneSettings
}

const settings = readSettings<CloneSettings>()
const log = createLogger({ level: settings.logLevel, name: settings.name })

await serveClone({
  writes: settings.writes,
  log,
  listen: async () => {
    const { build } = settings
    // Before anything of the app is imported: what is imported later is what was hashed, or the same as its siblings'.
    const buildId = build === undefined ? undefined : await checkBuild(build, configSchemaText)
    if (build !== undefined) {
      if (buildId !== build.id) throw quarantine(build.id, buildId ?? '')
      resolveFromOrigin(build)
    }
    const app = await loadApp(settings.appFile)
    const ff = await open(app, {
      connections: settings.connections,
      config: settings.config,
      log,
      ...(buildId !== undefined && { build: buildId }),
    })
    const { hosts, name } = settings
    const listener =
      hosts === undefined
        ? await listenApp(app, ff)
        : await listenAnnounced({ app, ff, name, buildId: buildId ?? '', settings: hosts, log })
    return {
      ...listener,
      buildId,
      close: async () => {
        // Else those who follow a job would be waited for.
        ff.jobs.endStreams()
        await listener.close()
        await ff.close()
      },
    }
  },
})
