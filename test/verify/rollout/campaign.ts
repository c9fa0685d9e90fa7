/** What an operator and bad luck do to a system under load: rollouts, SIGKILLs of clones, changes of their number. */

import { setTimeout as delay } from 'node:timers/promises'

import { waitFor } from '../../support/wait-for.ts'

import type { System } from './system.ts'

export interface Campaign {
  readonly rollouts: number
  readonly kills: number
  readonly scales: number
}

export interface Course {
  /** When clones were killed. */
  readonly kills: number[]
  /** Builds that were let in. */
  readonly admitted: Set<number>
  /** What commands said that should not have failed. */
  readonly failures: string[]
  done: { rollouts: number; kills: number; scales: number }
}

type Note = (what: string) => void

const calmMs = 600
const counts = [3, 2, 4, 2, 3]

/** Runs the campaign; half of the rollouts go by percent, and half of what else happens falls into one. */
export async function runCampaign(system: System, plan: Campaign, first: number, note: Note): Promise<Course> {
  const course: Course = {
    kills: [],
    admitted: new Set([first]),
    failures: [],
    done: { rollouts: 0, kills: 0, scales: 0 },
  }
  const rounds = Math.max(plan.rollouts, plan.kills, plan.scales)
  for (let round = 0; round < rounds; round += 1) {
    const rolling = round < plan.rollouts ? roll(system, course, first + course.done.rollouts + 1, round, note) : null
    const during = rolling !== null && round % 4 < 2
    if (!during) await rolling
    if (round < plan.scales) await scale(system, course, round)
    if (round < plan.kills) await killOne(system, course)
    await rolling
    await delay(calmMs)
  }
  return course
}

async function roll(system: System, course: Course, build: number, round: number, note: Note): Promise<void> {
  await system.edit(build)
  course.admitted.add(build)
  const words = round % 2 === 0 ? [] : ['--percent', '10,50,100', '--hold', '1s']
  const { code, output } = await system.rollout(words)
  course.done.rollouts += 1
  if (code !== 0) course.failures.push(`the rollout of build ${build} ended with ${code}:\n${output}`)
  note(`build ${build} ${words.length > 0 ? 'by percent' : 'at once'}: ${code === 0 ? 'in service' : 'FAILED'}`)
}

async function scale(system: System, course: Course, round: number): Promise<void> {
  const clones = counts[round % counts.length] ?? 2
  await system.scale(clones).catch((error: unknown) => course.failures.push(String(error)))
  course.done.scales += 1
}

/** SIGKILL to a clone of the build that serves, as long as another one serves too. */
async function killOne(system: System, course: Course): Promise<void> {
  const pid = await waitFor(
    'a clone that may be killed',
    async () => {
      const { admission, clones } = await system.status()
      const serving = clones.filter(({ state, buildId }) => state === 'ready' && buildId === admission.current.id)
      return serving.length > 1 ? serving[Math.floor(Math.random() * serving.length)]?.pid : undefined
    },
    60_000,
  )
  course.kills.push(performance.now())
  process.kill(pid, 'SIGKILL')
  course.done.kills += 1
}
