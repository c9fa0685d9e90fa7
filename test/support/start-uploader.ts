/** Starts a process that puts a file and has, like a clone, no right to write to the disc. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

import { permissionArguments } from '../../src/clones/permissions.ts'
import type { UploaderSettings } from './file-uploader.ts'

export interface Uploader {
  readonly process: ChildProcess
  /** The file's name, once so many pieces were sent; and what was stored, where it was to finish. */
  readonly report: { readonly name: string; readonly stored?: { readonly name: string } }
}

export async function startUploader(settings: UploaderSettings): Promise<Uploader> {
  const entry = new URL('./file-uploader.ts', import.meta.url)
  const execArgv = ['-C', 'fourfold:source', ...permissionArguments('refuse')]
  const clone = fork(entry, { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const report = new Promise<Uploader['report']>((resolve, reject) => {
    clone.once('message', (message) => resolve(message as Uploader['report']))
    clone.once('exit', (code) => reject(new Error(`the uploading process ended with ${code}`)))
  })
  clone.send(settings)
  return { process: clone, report: await report }
}

/** As the kernel or an operator would. */
export async function killUploader({ process: clone }: Uploader): Promise<void> {
  clone.kill('SIGKILL')
  await once(clone, 'exit')
}
