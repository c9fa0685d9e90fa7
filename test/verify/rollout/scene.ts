/** One run of the harness: a system of its own, a load, a campaign, and the verdict. */

import { setTimeout as delay } from 'node:timers/promises'

import { runCampaign, type Campaign, type Course } from './campaign.ts'
import { judge, type Findings } from './judge.ts'
import { Load } from './load.ts'
import { System } from './system.ts'

export interface Scene {
  readonly directory: string
  readonly campaign: Campaign
  readonly readers: number
  readonly env?: Readonly<Record<string, string>>
  readonly note: (what: string) => void
}

export interface Outcome {
  readonly findings: Findings
  readonly course: Course
}

const warmMs = 500

/** Starts an installed app as build 1. The caller stops the system. */
export async function startScene({ directory, env }: Pick<Scene, 'directory' | 'env'>): Promise<System> {
  const system = new System(directory, env)
  await system.install()
  await system.edit(1)
  await system.start(2)
  return system
}

/** Runs the campaign under load on a system whose build 1 serves. */
export async function runScene(
  system: System,
  { campaign, readers, note }: Omit<Scene, 'directory' | 'env'>,
): Promise<Outcome> {
  const load = new Load(system.url)
  load.start(readers)
  await delay(warmMs)
  let course: Course
  try {
    course = await runCampaign(system, campaign, 1, note)
  } finally {
    await load.stop()
  }
  return { findings: judge(load.sent, await system.stored(), course.kills, course.admitted), course }
}

/** Everything that breaks a promise, in words; nothing if none is broken. */
export function breaches({ findings, course }: Outcome): string[] {
  const { unexplained, duplicated, lost, backward, foreign } = findings
  const sample = (list: readonly unknown[]): string => JSON.stringify(list.slice(0, 3))
  return [
    ...course.failures,
    ...(unexplained.length > 0 ? [`${unexplained.length} requests failed: ${sample(unexplained)}`] : []),
    ...(duplicated.length > 0 ? [`${duplicated.length} writes were carried out twice: ${sample(duplicated)}`] : []),
    ...(lost.length > 0 ? [`${lost.length} acknowledged writes are lost: ${sample(lost)}`] : []),
    ...(backward.length > 0 ? [`${backward.length} readers went back a build: ${sample(backward)}`] : []),
    ...(foreign.length > 0 ? [`${foreign.length} answers of a build that nobody let in: ${sample(foreign)}`] : []),
  ]
}
