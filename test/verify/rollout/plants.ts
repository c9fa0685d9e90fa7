/**
 * Breaks one promise on purpose, in the processes of the system, to prove that the harness sees it. Loaded before
 * everything else by `NODE_OPTIONS`; each plant touches only the kind of process that it is about.
 */

import { resolveFromOrigin } from '../../../src/clones/build/snapshot-modules.ts'

import type { Campaign } from './campaign.ts'
import type { Build } from '../../../src/clones/build/snapshot.ts'

export const plants = ['no-drain', 'admission-off', 'retried-posts', 'lying-clone'] as const
export type Plant = (typeof plants)[number]

/** What each plant must make the harness say. */
export const caughtBy: Readonly<Record<Plant, RegExp>> = {
  'no-drain': /requests failed/,
  'admission-off': /went back a build|requests failed/,
  'retried-posts': /carried out twice/,
  'lying-clone': /answers of a quarantined clone/,
}

/** What each plant gets to show itself in: without kills, nothing is explained by one. */
export const plantedCampaigns: Readonly<Record<Plant, Campaign>> = {
  'no-drain': { rollouts: 1, kills: 0, scales: 4 },
  'admission-off': { rollouts: 2, kills: 0, scales: 0 },
  'retried-posts': { rollouts: 0, kills: 6, scales: 0 },
  'lying-clone': { rollouts: 0, kills: 0, scales: 0 },
}

export const plantVariable = 'ROLLOUT_PLANT'

const kind = /processes\/(\w+)\.[jt]s$/.exec(process.argv[1] ?? '')?.[1]
const plant = process.env[plantVariable]

type Message = Record<string, unknown> & { readonly type?: unknown }

/** Changes what this process hears of its supervisor; null: it hears nothing of it. */
function rewriteMessages(rewrite: (message: Message) => Message | null): void {
  const emit = process.emit.bind(process) as (...args: unknown[]) => boolean
  Object.assign(process, {
    emit: (name: unknown, message: unknown, ...rest: unknown[]) => {
      if (name !== 'message' || typeof message !== 'object' || message === null) return emit(name, message, ...rest)
      const heard = rewrite(message as Message)
      return heard === null ? true : emit(name, heard, ...rest)
    },
  })
}

if (kind === 'balancer' && plant === 'no-drain') {
  rewriteMessages((message) => {
    if (message.type !== 'drain') return message
    process.send?.({ type: 'drained', id: message['id'], inFlight: 0 })
    return null
  })
}

// A clone that closes gracefully would save most requests that were sent to it too late.
if (kind === 'clone' && plant === 'no-drain') {
  rewriteMessages((message) => (message.type === 'stop' ? process.exit(0) : message))
}

if (kind === 'balancer' && plant === 'admission-off') {
  rewriteMessages((message) => (message.type === 'upstreams' ? { ...message, admission: undefined } : message))
}

if (kind === 'balancer' && plant === 'retried-posts') {
  // The list of methods that may be sent twice is a set with these in it.
  const has = Object.getOwnPropertyDescriptor(Set.prototype, 'has')?.value as (
    this: Set<unknown>,
    value: unknown,
  ) => boolean
  Object.assign(Set.prototype, {
    has(this: Set<unknown>, value: unknown): boolean {
      if (value === 'POST' && has.call(this, 'PUT') && has.call(this, 'OPTIONS')) return true
      return has.call(this, value)
    },
  })
}

if (kind === 'clone' && plant === 'lying-clone') {
  const settings = JSON.parse(process.env['FOURFOLD_PROCESS'] ?? '{}') as { build: Build }
  const { build, ...rest } = settings
  process.env['FOURFOLD_PROCESS'] = JSON.stringify(rest)
  resolveFromOrigin(build)
  const send = process.send?.bind(process) as ((...args: unknown[]) => boolean) | undefined
  Object.assign(process, {
    send: (message: Message, ...more: unknown[]) =>
      send?.(message.type === 'ready' ? { ...message, buildId: build.id } : message, ...more),
  })
}
