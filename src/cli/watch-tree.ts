/**
 * Watches a folder and the folders in it, without those that hold no code of the app: Node's own recursive watch would
 * follow every package in `node_modules` too.
 */

import { watch, type FSWatcher } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface WatchTreeOptions {
  /** Folders that are left out, by their path. */
  readonly leaveOut: (path: string) => boolean
  /** Called for every change, with the file's path. */
  readonly onChange: (path: string) => void
}

/** Resolves when every folder is watched. What cannot be watched, or is gone by then, is left out. */
export async function watchTree(root: string, options: WatchTreeOptions): Promise<{ close(): void }> {
  const watchers = new Map<string, FSWatcher>()
  let closed = false
  const forget = (folder: string): void => {
    watchers.get(folder)?.close()
    watchers.delete(folder)
  }
  const add = async (folder: string): Promise<void> => {
    if (closed || watchers.has(folder) || options.leaveOut(folder)) return
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => null)
    if (entries === null || closed || watchers.has(folder)) return
    const watcher = watch(folder, (kind, name) => {
      if (name === null) return
      const path = join(folder, name)
      if (options.leaveOut(path)) return
      options.onChange(path)
      // It may be a new folder; one that is gone ends its watcher by itself.
      if (kind === 'rename') void add(path)
    })
    watcher.on('error', () => forget(folder))
    watchers.set(folder, watcher)
    await Promise.all(entries.filter((entry) => entry.isDirectory()).map((entry) => add(join(folder, entry.name))))
  }
  await add(root)
  return {
    close: () => {
      closed = true
      for (const folder of [...watchers.keys()]) forget(folder)
    },
  }
}
