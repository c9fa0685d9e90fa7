/**
 * Works on behalf of a build before or after it serves, and ends: loads the app, looks whether its settings fit the
 * system that runs, and runs one phase of its migrations. A process of its own, so that code which does not load, or
 * hangs, is a rollout that fails and not a supervisor.
 */

import { isAbsolute, join } from 'node:path'

import { configSchemaText, resolveConfig, type AppOptions, type ResolvedConfig } from '../config.ts'
import { loadApp } from '../load-app.ts'
import { misfits } from '../release-settings.ts'
import { workerCount } from '../workers.ts'
import { resolveFromOrigin } from '../../clones/build/snapshot-modules.ts'
import { checkBuild, type Build } from '../../clones/build/snapshot.ts'
import { failToStart, readSettings, watchParent } from '../../clones/child.ts'
import { FourfoldError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { runMigrations } from '../../engines/postgres/migrations.ts'

import type { Connections } from '../connections.ts'

export interface ReleaseSettings {
  readonly build: Build
  readonly phase: 'expand' | 'contract'
  /** What the command line said: it wins over the app and the environment. */
  readonly overrides: AppOptions
  readonly connections: Connections
  /** The settings of the system that runs. */
  readonly running: ResolvedConfig
}

/** What the supervisor takes from the new build's settings. */
export interface ReleaseFacts {
  readonly clones: Pick<ResolvedConfig['clones'], 'writes' | 'graceMs'>
  readonly rollout: ResolvedConfig['rollout']
  /** How many workers it wants. */
  readonly workers: number
  /** The migrations that ran, by database. */
  readonly applied: Readonly<Record<string, readonly string[]>>
  /** Whether a contract phase has anything to do. */
  readonly contractWaits: boolean
}

const settings = readSettings<ReleaseSettings>()
const log = createLogger({ level: settings.running.logLevel, name: 'release' })
const parent = watchParent({ stop: async () => undefined })

try {
  const facts = await release(settings)
  parent.send({ type: 'ready', facts })
} catch (error) {
  await failToStart(error, log)
}

async function release({ build, phase, overrides, connections, running }: ReleaseSettings): Promise<ReleaseFacts> {
  if ((await checkBuild(build, configSchemaText)) !== build.id)
    throw new FourfoldError('FF_BUILD_FILES', `the files in ${build.folder} were changed after they were copied`)
  resolveFromOrigin(build)
  const app = await loadApp(build.appFile)
  if (app.definition.server === undefined) throw new FourfoldError('FF_APP_INVALID', 'The app has no server')
  const config = resolveConfig(app.definition, process.env, overrides)
  const { refused, later } = misfits(running, config)
  if (phase === 'expand') {
    if (refused.length > 0) throw new FourfoldError('FF_ROLLOUT_REFUSED', needsRestart(refused))
    for (const path of later) parent.send({ type: 'progress', text: `${path} changed: takes effect at the next start` })
  }
  const applied: Record<string, readonly string[]> = {}
  let contractWaits = false
  for (const [name, { migrations }] of Object.entries(config.databases)) {
    const found = connections.databases[name]
    if (migrations === undefined || found === undefined) continue
    const directory = isAbsolute(migrations) ? migrations : join(app.directory, migrations)
    const say = (text: string): void => parent.send({ type: 'progress', text })
    const done = await runMigrations({
      address: found.direct,
      directory,
      log: log.child({ database: name }),
      phase,
      say,
    })
    applied[name] = done.applied
    contractWaits ||= done.waiting.length > 0
  }
  const { writes, graceMs } = config.clones
  return {
    clones: { writes, graceMs },
    rollout: config.rollout,
    workers: workerCount(app, config),
    applied,
    contractWaits,
  }
}

function needsRestart(paths: readonly string[]): string {
  return `${paths.join(', ')} changed, which a rollout cannot bring: stop the system and start it with the new build`
}
