/**
 * Loaded into each clone before the app: tells the check over the clone's channel what Node's permission model refuses
 * or counts. Node announces it in the moment of the call, so that it is heard also where the app swallows the error, and
 * every time, not once for each file.
 */

import diagnostics from 'node:diagnostics_channel'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

import { folderVariable, type AccessMessage } from './access-message.ts'

const folder = process.env[folderVariable]
// Threads load this too, and have the folder of their process.
if (folder !== undefined && isMainThread) process.chdir(folder)

for (const part of ['fs', 'child', 'worker', 'addon']) {
  diagnostics.subscribe(`node:permission-model:${part}`, (message: unknown) => {
    const { permission = '', resource = '' } = message as { permission?: string; resource?: string }
    const isFile = permission.startsWith('FileSystem')
    // `process.permission.has()` announces itself too, without a file; reading is allowed.
    if (permission === 'FileSystemRead' || (isFile && resource === '')) return
    const heard: AccessMessage = {
      type: 'access',
      permission,
      resource: isFile ? resolve(resource) : resource,
      by: caller(),
    }
    if (process.connected) process.send?.(heard, undefined, {}, () => undefined)
  })
}

/** The first line on the stack that is neither Node's nor a package's. */
function caller(): string {
  const lines = (new Error().stack ?? '').split('\n').slice(1)
  for (const line of lines) {
    const [, url, where] = /(file:\/\/[^)]+?):(\d+):\d+\)?$/.exec(line) ?? []
    if (url === undefined || url === import.meta.url || url.includes('/node_modules/')) continue
    return `${fileURLToPath(url)}:${where}`
  }
  return ''
}
