/** The contenders of the sessions benchmark: two clones of an app each, over a store that is a process of its own. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface Contender {
  readonly name: string
  readonly ports: readonly number[]
  readonly pids: readonly number[]
  /** The store's process; what it costs is counted apart. */
  readonly storePid: number
  stop(): Promise<void>
}

export interface ContenderOptions {
  readonly name: string
  /** A file in `bench/session-apps`. */
  readonly app: string
  readonly storeUrl: string
  readonly storePid: number
}

const clones = 2
const startMs = 20_000

export async function startContender({ name, app, storeUrl, storePid }: ContenderOptions): Promise<Contender> {
  const children = Array.from({ length: clones }, () =>
    fork(new URL(`../session-apps/${app}.ts`, import.meta.url), [storeUrl]),
  )
  const stop = async (): Promise<void> => void (await Promise.all(children.map(end)))
  try {
    const ports = await Promise.all(
      children.map(async (child) => {
        const [{ port }] = (await once(child, 'message', { signal: AbortSignal.timeout(startMs) })) as [
          { port: number },
        ]
        return port
      }),
    )
    return { name, ports, pids: children.map(({ pid }) => pid ?? 0), storePid, stop }
  } catch (error) {
    await stop()
    throw new Error(`${name} did not start`, { cause: error })
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
