/** `fourfold start`. */

import { requireWritable } from './data-directory.ts'
import { createProgressBar } from './progress-bar.ts'
import { loadCommand, type CommonOptions } from './settings.ts'
import { startSystem, type RunningSystem } from '../app/start.ts'
import { stopOnSignals } from '../core/lifecycle.ts'

import type { ResolvedConfig } from '../app/config.ts'
import type { Logger } from '../core/log.ts'

/** Starts the system, says where it is, and runs until a signal stops it. */
export async function start(file: string, options: CommonOptions & { readonly seed: boolean }): Promise<void> {
  const begun = performance.now()
  const { app, appFile, release, config, overrides, log } = await loadCommand(file, options)
  if (release !== null) warnOfOwnStore(config, log)
  await requireWritable(config.dataDir)
  const bar = createProgressBar()
  const calledOff = new AbortController()
  stopOnSignals({
    log,
    stop: async () => {
      calledOff.abort()
      bar.finish()
      await (await starting.catch(() => null))?.stop()
    },
  })
  const starting = startSystem({
    app,
    appFile,
    config,
    overrides,
    env: process.env,
    log,
    signal: calledOff.signal,
    onStep: (what) => log.debug({}, `starting: ${what}`),
    ...(options.seed ? { seedProgress: bar.update } : {}),
  })
  try {
    const system = await starting
    bar.finish()
    if (!calledOff.signal.aborted) console.log(describeSystem(system, config, performance.now() - begun))
  } catch (error) {
    // Who called the start off waits for its end and ends the process.
    if (!calledOff.signal.aborted) throw error
  }
}

/** A release is for servers that come and go. */
function warnOfOwnStore({ store, dataDir }: ResolvedConfig, log: Logger): void {
  if (store.url !== undefined || store.database !== undefined) return
  const message = `the store is embedded: sessions last as long as ${dataDir}, and no other host has them. FOURFOLD_STORE_URL names a server`
  log.warn({}, message)
}

/** A few lines for people: what runs, and where. */
function describeSystem(system: RunningSystem, config: ResolvedConfig, tookMs: number): string {
  const lines = Object.entries(system.connections.databases).map(([name, { primary, replicas }]) => {
    const kind = system.databases.embedded.has(name)
      ? 'embedded PostgreSQL'
      : `PostgreSQL at ${primary.host}:${primary.port}`
    return `  database   ${name}: ${kind}, 1 primary and ${replicas.length} replica${replicas.length === 1 ? '' : 's'}`
  })
  const pids = system.supervisor.members('clone').map((member) => member.process.pid)
  const { url, database } = config.store
  const store =
    database !== undefined ? `in the database ${database}` : url === undefined ? 'embedded' : new URL(url).host
  return [
    '',
    `  ${system.url}   ready in ${(tookMs / 1000).toFixed(1)} s`,
    '',
    `  clones     ${pids.length} (pids ${pids.join(', ')})`,
    ...lines,
    `  store      ${store}`,
    `  data       ${config.dataDir}`,
    '',
    '  Ctrl-C stops everything.',
    '',
  ].join('\n')
}
