/** The embedded store as the process that it is in production, for tests that kill and pause it. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectStore } from '../../src/store/connect.ts'
import type { StoreServerUnderTest } from '../../src/testing/index.ts'

const source = ['-C', 'fourfold:source']
const writer = new URL('store-writer.ts', import.meta.url).pathname
const entry = new URL('../../src/app/processes/store.ts', import.meta.url).pathname

export interface StoreProcess extends StoreServerUnderTest {
  readonly settings: StoreSettings
  readonly child: ChildProcess
  kill(): Promise<void>
  start(): Promise<void>
  /** Kills it at this moment, when its successor has been started already, and resolves when that one serves. */
  succeedAt(moment: Promise<unknown>): Promise<void>
  /** A process that raises the token of this key and prints each position that was acknowledged. */
  forkWriter(key: string): ChildProcess
}

export interface StoreSettings {
  readonly socketPath: string
  readonly logPath: string
  readonly logLevel: string
  readonly compactBytes?: number | undefined
}

export async function startStoreProcess(
  options: { readonly compactBytes?: number } & ForkOptions = {},
): Promise<StoreProcess> {
  const { compactBytes, ...forkOptions } = options
  const directory = await mkdtemp(join(tmpdir(), 'ff-store-'))
  const settings: StoreSettings = {
    socketPath: join(directory, 's.sock'),
    logPath: join(directory, 'store.log'),
    logLevel: 'error',
    compactBytes,
  }
  let child = await spawnStore(settings, forkOptions)
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const start = async (): Promise<void> => {
    child = await spawnStore(settings, forkOptions)
  }
  return {
    settings,
    get child() {
      return child
    },
    connect: ({ deadlineMs }) => connectStore({ url: `unix:${settings.socketPath}`, deadlineMs }),
    kill,
    start,
    succeedAt: async (moment) => {
      const successor = spawnStore(settings, forkOptions)
      successor.catch(() => undefined)
      await moment
      await kill()
      child = await successor
    },
    forkWriter: (key) => spawn(process.execPath, [...source, writer, `unix:${settings.socketPath}`, key]),
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
export async function spawnStore(settings: StoreSettings, options: ForkOptions = {}): Promise<ChildProcess> {
  const child = forkStore(settings, options)
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if (typeof message === 'object' && 'type' in message && message.type === 'ready') resolve()
    })
    child.once('exit', (code) => reject(new Error(`the store process ended with ${code} before it was ready`)))
    child.once('error', reject)
  })
  return child
}

export interface ForkOptions {
  /** A limit on the size of files it may write, in place of a full disc. */
  readonly maxFileKiB?: number
  /** Puts a process between, which the store then takes for its supervisor. */
  readonly foster?: boolean
  /** A module to load first, for planting faults. */
  readonly preload?: URL
}

export function forkStore(settings: StoreSettings, options: ForkOptions = {}): ChildProcess {
  const preload = options.preload === undefined ? [] : ['--import', options.preload.href]
  const command = [process.execPath, ...source, ...preload, entry]
  // The signal is ignored, so that the write itself fails.
  const limited = ['sh', '-c', `trap '' XFSZ; ulimit -f ${(options.maxFileKiB ?? 0) * 2}; exec "$@"`, 'sh', ...command]
  const fostered = ['sh', '-c', '"$@" & wait', 'sh', ...command]
  const [program, ...args] = options.foster === true ? fostered : options.maxFileKiB === undefined ? command : limited
  return spawn(program!, args, {
    env: { ...process.env, FOURFOLD_PROCESS: JSON.stringify(settings) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}
