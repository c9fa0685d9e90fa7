/**
 * The process of one worker: opens the app as a clone does, does jobs and bakes ahead of demand. No reader's request reaches it. It may
 * die at any line; another one takes over what it looked after.
 */

import { listenApp } from '../app-server.ts'
import { configSchemaText } from '../config.ts'
import { hasJobs } from '../jobs.ts'
import { loadApp } from '../load-app.ts'
import { open } from '../open.ts'
import { quarantine } from '../../clones/build/quarantine.ts'
import { resolveFromOrigin } from '../../clones/build/snapshot-modules.ts'
import { checkBuild } from '../../clones/build/snapshot.ts'
import { failToStart, readSettings, watchParent, type CloneListener } from '../../clones/child.ts'
import { explainAccessDenied, watchWrites } from '../../clones/permissions.ts'
import { createLogger } from '../../core/log.ts'

import type { Fourfold } from '../fourfold.ts'
import type { CloneSettings } from './clone.ts'

type WorkerSettings = Omit<CloneSettings, 'hosts'>

const settings = readSettings<WorkerSettings>()
const log = createLogger({ level: settings.logLevel, name: settings.name })
const stopWatching = watchWrites(settings.writes, log)
let ff: Fourfold | undefined
let listener: CloneListener | undefined
const parent = watchParent({
  stop: async () => {
    await listener?.close()
    await ff?.close()
    stopWatching()
  },
})

try {
  const { build } = settings
  // Before anything of the app is imported: see the clone's process.
  const buildId = build === undefined ? undefined : await checkBuild(build, configSchemaText)
  if (build !== undefined) {
    if (buildId !== build.id) throw quarantine(build.id, buildId ?? '')
    resolveFromOrigin(build)
  }
  const app = await loadApp(settings.appFile)
  ff = await open(app, {
    connections: settings.connections,
    config: settings.config,
    appFile: settings.appFile,
    ...(build !== undefined && { snapshot: build }),
    log,
    ...(buildId !== undefined && { build: buildId }),
  })
  // Its own server is asked for the routes that are baked; nobody else knows where it listens.
  if ((app.definition.bakeRoutes ?? []).length > 0) listener = await listenApp(app, ff)
  ff.baking.start()
  if (hasJobs(app)) ff.jobs.start()
  parent.send({ type: 'ready', buildId: buildId ?? '' })
} catch (error) {
  await failToStart(explainAccessDenied(error) ?? error, log)
}
