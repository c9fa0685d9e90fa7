/** `fourfold dev`: the whole system with one clone, which starts again when a file of the app changes. */

import { watch } from 'node:fs'
import { dirname } from 'node:path'

import { createProgressBar } from './progress-bar.ts'
import { loadCommand, type CommonOptions } from './settings.ts'
import { startSystem } from '../app/start.ts'
import { stopOnSignals } from '../core/lifecycle.ts'

/** Editors write a file in several steps: one restart for all of them. */
const settleMs = 100
const ignored = /(?:^|[/\\])(?:node_modules|\.git|\.fourfold|dist)(?:[/\\]|$)/

/** Runs until a signal stops it. */
export async function dev(file: string, options: CommonOptions): Promise<void> {
  const { app, appFile, config, overrides, log } = await loadCommand(file, { ...options, clones: 1 })
  const bar = createProgressBar()
  const starting = startSystem({ app, appFile, config, overrides, env: process.env, log, seedProgress: bar.update })
  const aborter = new AbortController()
  stopOnSignals({
    log,
    stop: async () => {
      aborter.abort()
      await (await starting.catch(() => null))?.stop()
    },
  })
  const system = await starting
  bar.finish()
  console.log(`\n  ${system.url}   one clone, restarted when a file changes. Ctrl-C stops everything.\n`)
  let timer: NodeJS.Timeout | null = null
  const restart = (): void => {
    timer = null
    log.info({}, 'a file changed: starting a new clone')
    system.supervisor
      .restart('clone')
      .catch((error: unknown) => log.error({ error }, 'the new clone did not start; the old one stays'))
  }
  const watcher = watch(dirname(appFile), { recursive: true, signal: aborter.signal })
  watcher.on('error', () => undefined)
  watcher.on('change', (_kind, name) => {
    if (name === null || ignored.test(String(name))) return
    if (timer !== null) clearTimeout(timer)
    timer = setTimeout(restart, settleMs)
  })
}
