/** From a command line to a configuration: the options that most commands share. */

import { resolve } from 'node:path'

import { inspectConfig, type AppOptions, type ConfigInspection, type ResolvedConfig } from '../app/config.ts'
import { enterRelease, type Entered } from '../app/enter-release.ts'
import { loadApp } from '../app/load-app.ts'
import { createLogger, type Logger } from '../core/log.ts'

import type { App } from '../app/define-app.ts'

export interface CommonOptions {
  readonly data?: string
  readonly port?: number
  readonly host?: string
  readonly clones?: number
}

export interface CommandContext {
  readonly app: App
  readonly appFile: string
  /** Null where the app runs from its source. */
  readonly release: Entered['release']
  readonly config: ResolvedConfig
  readonly overrides: AppOptions
  readonly inspection: ConfigInspection
  readonly log: Logger
}

/** Loads the app and its configuration. @throws FF_APP_INVALID, FF_CONFIG_INVALID, FF_RELEASE_CHANGED */
export async function loadCommand(file: string, options: CommonOptions): Promise<CommandContext> {
  const { appFile, release } = await enterRelease(file)
  // As the command named it, which is what an error then names.
  const app = await loadApp(release === null ? file : appFile)
  const overrides = overridesFrom(options)
  const inspection = inspectConfig(app.definition, process.env, overrides)
  const config = { ...inspection.config, dataDir: resolve(inspection.config.dataDir) }
  const log = createLogger({ level: config.logLevel, name: 'fourfold' })
  for (const warning of inspection.warnings) log.warn({}, warning)
  return { app, appFile, release, config, overrides: { ...overrides, dataDir: config.dataDir }, inspection, log }
}

function overridesFrom({ data, port, host, clones }: CommonOptions): AppOptions {
  return {
    ...(data === undefined ? {} : { dataDir: data }),
    ...(clones === undefined ? {} : { clones }),
    ...(port === undefined && host === undefined
      ? {}
      : { balancer: { ...(port === undefined ? {} : { port }), ...(host === undefined ? {} : { host }) } }),
  }
}
