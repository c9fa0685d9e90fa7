/** The embedded store as the process that it is in production, for tests that kill and pause it. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectStore } from '../../src/store/connect.ts'
import type { StoreServerUnderTest } from '../../src/testing/index.ts'

const entry = new URL('../../src/app/processes/store.ts', import.meta.url).pathname

export interface StoreProcess extends StoreServerUnderTest {
  readonly directory: string
  readonly socketPath: string
  readonly logPath: string
  readonly child: ChildProcess
  kill(): Promise<void>
  start(): Promise<void>
}

export async function startStoreProcess(options: { readonly compactBytes?: number } = {}): Promise<StoreProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-store-'))
  const config = { socketPath: join(directory, 's.sock'), logPath: join(directory, 'store.log'), logLevel: 'error', ...options }
  let child = await spawnStore(config)
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const start = async (): Promise<void> => {
    child = await spawnStore(config)
  }
  return {
    directory,
    socketPath: config.socketPath,
    logPath: config.logPath,
    get child() {
      return child
    },
    connect: ({ deadlineMs }) => connectStore({ url: `unix:${config.socketPath}`, deadlineMs }),
    kill,
    start,
    restart: async () => {
      await kill()
      await start()
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: async () => {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Resolves when the process says that it serves; rejects when it ends before. */
export async function spawnStore(config: object): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-C', 'fourfold:source', entry], {
    env: { ...process.env, FOURFOLD_PROCESS: JSON.stringify(config) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve())
    child.once('exit', (code) => reject(new Error(`the store process ended with ${code} before it was ready`)))
    child.once('error', reject)
  })
  return child
}
