/** A tracker in a process of its own, which tests kill, pause, and plant mistakes into. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

import type { TrackerStatus } from '../../src/freshness/tracker/tracker.ts'
import type { TrackerSettings } from '../integration/fixtures/tracker-process.ts'
import { endAfter, until, type Cleanup } from './postgres.ts'

export interface Plant {
  readonly file: string
  readonly find: string
  readonly put: string
}

export interface TrackerProcess {
  readonly child: ChildProcess
  status(): Promise<TrackerStatus>
  /** Waits until it streams. */
  ready(): Promise<void>
  kill(): Promise<void>
}

const entry = new URL('../integration/fixtures/tracker-process.ts', import.meta.url).pathname
const plantHook = new URL('plant.ts', import.meta.url).href

export function spawnTracker(t: Cleanup, settings: TrackerSettings, plants: readonly Plant[] = []): TrackerProcess {
  const child = spawn(
    process.execPath,
    ['-C', 'fourfold:source', '--import', plantHook, entry, JSON.stringify(settings)],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, FOURFOLD_PLANTS: JSON.stringify(plants) },
    },
  )
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  endAfter(t, kill)
  const status = async (): Promise<TrackerStatus> => {
    if (child.exitCode !== null) throw new Error(`the tracker ended with ${child.exitCode}`)
    child.send('status')
    const [answer] = (await once(child, 'message')) as [TrackerStatus]
    return answer
  }
  const ready = async (): Promise<void> => {
    await until('the tracker to stream', async () => {
      const answer = await status()
      if (answer.state !== 'streaming') throw new Error(JSON.stringify(answer))
      return true
    })
  }
  return { child, status, ready, kill }
}
