/**
 * A balancer's own look at the clones of other hosts, as the supervisor's pings are at its own: each is asked again and
 * again whether it is there. So a cut line, a host that stands still or an address that changed hands shows in two
 * seconds, also when the store is away or sees what this balancer does not.
 *
 * Each probe is a connection of its own: one that is kept may work where a new one would not.
 */

import { request } from 'node:http'

import { credentialFor, credentialHeader, refusedStatus } from './credential.ts'
import { alivePath } from './gate.ts'
import type { ProbeOutcome } from './roster.ts'
import type { ListenAddress } from '../protocol.ts'

export interface Probed {
  readonly id: string
  readonly address: ListenAddress
}

export interface Probes {
  /** From now on these are asked. */
  follow(clones: readonly Probed[]): void
  stop(): void
}

export interface ProbesOptions {
  readonly keys: readonly string[]
  readonly onOutcome: (id: string, outcome: ProbeOutcome) => void
  /** Default: 500. */
  readonly intervalMs?: number
  /** An answer that takes longer counts as silence. Default: 1,500. */
  readonly answerMs?: number
}

export function createProbes({ keys, onOutcome, intervalMs = 500, answerMs = 1500 }: ProbesOptions): Probes {
  const running = new Map<string, () => void>()

  const begin = ({ id, address }: Probed): (() => void) => {
    let stopped = false
    let cancel = (): void => undefined
    const ask = (): void => {
      cancel = probe(address, credentialFor(keys, id), answerMs, (outcome) => {
        if (stopped) return
        onOutcome(id, outcome)
        const timer = setTimeout(ask, intervalMs)
        cancel = () => clearTimeout(timer)
      })
    }
    ask()
    return () => {
      stopped = true
      cancel()
    }
  }

  return {
    follow: (clones) => {
      const ids = new Set(clones.map(({ id }) => id))
      for (const [id, stop] of running) if (!ids.has(id) && running.delete(id)) stop()
      for (const clone of clones) if (!running.has(clone.id)) running.set(clone.id, begin(clone))
    },
    stop: () => {
      for (const stop of running.values()) stop()
      running.clear()
    },
  }
}

/** Asks once. Call the result to ask no more. */
function probe(
  address: ListenAddress,
  credential: string,
  answerMs: number,
  tell: (outcome: ProbeOutcome) => void,
): () => void {
  let told = false
  const finish = (outcome: ProbeOutcome): void => {
    clearTimeout(timer)
    if (told) return
    told = true
    asking.destroy()
    tell(outcome)
  }
  const asking = request({
    ...('path' in address ? { socketPath: address.path } : address),
    path: alivePath,
    agent: false,
    headers: { [credentialHeader]: credential },
  })
  const timer = setTimeout(() => finish('silent'), answerMs)
  asking.on('response', (answer) => {
    answer.resume()
    finish(answer.statusCode === refusedStatus ? 'foreign' : 'alive')
  })
  asking.on('error', (error: NodeJS.ErrnoException) => finish(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'))
  asking.end()
  return () => {
    told = true
    clearTimeout(timer)
    asking.destroy()
  }
}
