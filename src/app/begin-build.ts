/** Which build a start runs: made of the files as they are, or the one that the ledger says must serve. */

import { configSchemaText, resolveConfig, type ResolvedConfig } from './config.ts'
import { loadApp } from './load-app.ts'
import { shortBuildId } from '../clones/build/build-id.ts'
import { resolveFromOrigin } from '../clones/build/snapshot-modules.ts'
import { checkBuild, makeBuild, pruneBuilds, readBuild, type Build } from '../clones/build/snapshot.ts'
import { beginWith, openLedger, type Beginning, type Ledger } from '../clones/rollout/ledger.ts'

import type { App } from './define-app.ts'
import type { StartOptions } from './start.ts'
import type { Logger } from '../core/log.ts'

export interface BegunBuild extends Pick<Beginning, 'admission' | 'takenBack'> {
  readonly build: Build
  readonly ledger: Ledger
  /** The app and its settings, where they are not those that the command loaded. */
  readonly from: { readonly app: App; readonly config: ResolvedConfig } | undefined
}

/** The caller owns the data directory. */
export async function beginBuild(options: StartOptions): Promise<BegunBuild> {
  const { appFile, config, log } = options
  const ledger = openLedger(config.dataDir)
  await pruneBuilds(config.dataDir, config.rollout.keep, [ledger.read()?.admission.current.id ?? ''])
  const files = await makeBuild({ appFile, dataDir: config.dataDir, schema: configSchemaText })
  const begun = beginWith(ledger.read(), files.id)
  if (begun.because === null) return { ...begun, ledger, build: files, from: undefined }
  const build = await readUnchanged(config.dataDir, begun.admission.current.id, log)
  if (build === null) {
    const current = { id: files.id, ordinal: begun.admission.current.ordinal + 1 }
    return { admission: { current, share: 0 }, takenBack: null, ledger, build: files, from: undefined }
  }
  const [is, was] = [shortBuildId(files.id), shortBuildId(build.id)]
  log.warn(
    { build: build.id, files: files.id },
    `starting build ${was} and not ${is}, which the files are now: ${begun.because}. To bring it into service: fourfold rollout`,
  )
  return { ...begun, ledger, build, from: await loadFrom(build, options) }
}

async function readUnchanged(dataDir: string, id: string, log: Logger): Promise<Build | null> {
  try {
    const build = await readBuild(dataDir, id)
    if ((await checkBuild(build, configSchemaText)) === id) return build
  } catch {
    // Said below.
  }
  log.error(
    { build: id },
    `build ${shortBuildId(id)} should be started, and its files, packages or Node are not there as they were: starting the files as they are`,
  )
  return null
}

async function loadFrom(build: Build, { config, overrides, env }: StartOptions): Promise<BegunBuild['from']> {
  resolveFromOrigin(build)
  const app = await loadApp(build.appFile)
  return { app, config: { ...resolveConfig(app.definition, env, overrides), dataDir: config.dataDir } }
}
