/** Chooses how clones are talked to: once for a balancer, when it starts. */

import type { Logger } from '../../../core/log.ts'
import type { BalancerLimits } from '../options.ts'
import type { OpenClient } from './client.ts'
import { createNativeClient } from './native-client.ts'
import { loadResponseParser } from './response-parser.ts'

export async function chooseClient(limits: BalancerLimits, log: Logger): Promise<OpenClient> {
  const createParser = limits.nativeParser ? loadResponseParser() : null
  if (createParser !== null) return (address) => createNativeClient(address, { ...limits, createParser })
  if (limits.nativeParser) {
    log.warn(
      { node: process.version },
      "Node's own parser cannot be used with this version: requests cost half as much again",
    )
  }
  // Loaded here only: it takes longer than everything else that a balancer loads.
  const { createUndiciClient } = await import('./undici-client.ts')
  return (address) => createUndiciClient(address, limits)
}
