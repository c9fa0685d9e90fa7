/**
 * One server that is kept running: started, watched, started again when it dies, and stopped.
 *
 * Starts and stops happen one after the other, whoever asks. A server that dies is started again at once, then with
 * growing pauses; after several failures in a row its data is repaired, where the cluster knows how (a standby is
 * copied anew).
 */

import { setTimeout as delay } from 'node:timers/promises'

import type { Logger } from '../../../core/log.ts'
import { launchServer, type LaunchOptions, type RunningServer } from './launch.ts'
import { clearLeftovers } from './leftovers.ts'

export interface ServerOptions {
  readonly name: string
  readonly launch: LaunchOptions
  readonly log: Logger
  /** Makes the data usable again, while the server is stopped. Absent: only starting again is tried. */
  readonly repair?: () => Promise<void>
}

export interface Server {
  readonly name: string
  /** Null while it is not running. */
  readonly pid: number | null
  /** Starts it and waits until it takes connections. */
  start(): Promise<void>
  /** Stops it; it stays stopped. */
  stop(): Promise<void>
  restart(): Promise<void>
  /** Stops it, repairs its data and starts it. */
  rebuild(): Promise<void>
}

const failuresBeforeRepair = 3
const longestPauseMs = 5_000

export function createServer(options: ServerOptions): Server {
  const { name, log } = options
  let running: RunningServer | null = null
  let wanted = false
  let turn: Promise<unknown> = Promise.resolve()
  let giveUp = new AbortController()

  /** One at a time, in the order of asking. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work)
    turn = result.catch(() => undefined)
    return result
  }

  async function launch(): Promise<void> {
    await clearLeftovers(options.launch.data, options.launch.socket)
    const server = await launchServer(options.launch)
    running = server
    void server.exited.then(() => {
      if (running !== server) return
      running = null
      if (!wanted) return
      log.warn({ server: name, pid: server.pid }, 'an embedded PostgreSQL server died; starting it again')
      void keepAlive(giveUp.signal)
    })
  }

  async function halt(): Promise<void> {
    const server = running
    running = null
    await server?.stop()
  }

  async function keepAlive(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        await inTurn(async () => {
          if (signal.aborted || running !== null) return
          if (failures >= failuresBeforeRepair) await options.repair?.()
          await launch()
        })
        return
      } catch (error) {
        failures += 1
        log.error({ server: name, failures, error }, 'an embedded PostgreSQL server did not start')
        await delay(Math.min(100 * 2 ** failures, longestPauseMs), undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** What was running and did not come back must not stay down for it. */
  function keepTrying(error: unknown): never {
    if (wanted) void keepAlive(giveUp.signal)
    throw error
  }

  async function begin(): Promise<void> {
    giveUp = new AbortController()
    wanted = true
    if (running === null) await launch()
  }

  return {
    name,
    get pid() {
      return running?.pid ?? null
    },
    start: () => inTurn(begin),
    async stop() {
      wanted = false
      giveUp.abort()
      await inTurn(halt)
    },
    restart: () =>
      inTurn(async () => {
        await halt()
        await begin().catch(keepTrying)
      }),
    rebuild: () =>
      inTurn(async () => {
        await halt()
        try {
          await options.repair?.()
          if (wanted) await launch()
        } catch (error) {
          keepTrying(error)
        }
      }),
  }
}
