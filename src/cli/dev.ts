/** `fourfold dev`: the whole system with one clone, which starts again when a file of the app changes. */

import { basename } from 'node:path'

import { requireWritable } from './data-directory.ts'
import { createProgressBar } from './progress-bar.ts'
import { loadCommand, type CommonOptions } from './settings.ts'
import { watchTree } from './watch-tree.ts'
import { startSystem } from '../app/start.ts'
import { appFolder } from '../clones/build/files.ts'
import { stopOnSignals } from '../core/lifecycle.ts'

/** Editors write a file in several steps: one restart for all of them. */
const settleMs = 100
const noCode = new Set(['node_modules', '.git', '.fourfold', 'dist'])
/** Logs, also this command's own: every restart would be a reason for the next. */
const logFile = /\.log$/

/** Runs until a signal stops it. */
export async function dev(file: string, options: CommonOptions): Promise<void> {
  const { app, appFile, config, overrides, log } = await loadCommand(file, { ...options, clones: 1 })
  await requireWritable(config.dataDir)
  const bar = createProgressBar()
  const settings = { app, appFile, config, overrides, env: process.env, log, seedProgress: bar.update }
  const starting = startSystem({ ...settings, inPlace: true })
  let watcher: { close(): void } | null = null
  let timer: NodeJS.Timeout | undefined
  let stopping = false
  stopOnSignals({
    log,
    stop: async () => {
      stopping = true
      clearTimeout(timer)
      watcher?.close()
      await (await starting.catch(() => null))?.stop()
    },
  })
  const system = await starting
  bar.finish()
  console.log(`\n  ${system.url}   one clone, restarted when a file changes. Ctrl-C stops everything.\n`)
  const restart = onePerTime(async () => {
    log.info({}, 'a file changed: starting a new clone')
    try {
      await system.supervisor.restart('clone')
    } catch (error) {
      if (!stopping) log.error({ error }, 'the new clone did not start; the old one stays')
    }
  })
  watcher = await watchTree(appFolder(appFile), {
    leaveOut: (path) => noCode.has(basename(path)) || logFile.test(path) || path === config.dataDir,
    onChange: () => {
      clearTimeout(timer)
      if (!stopping) timer = setTimeout(restart, settleMs)
    },
  })
  if (stopping) watcher.close()
}

/** While `work` runs, however many calls come, it runs only once more after that. */
function onePerTime(work: () => Promise<void>): () => void {
  let running = false
  let again = false
  const run = async (): Promise<void> => {
    if (running) return void (again = true)
    running = true
    await work()
    running = false
    if (!again) return
    again = false
    await run()
  }
  return () => void run()
}
