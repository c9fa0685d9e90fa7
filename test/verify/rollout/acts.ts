/** What must not happen, tried one by one: each act answers what was wrong, nothing if all was as promised. */

import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { judge } from './judge.ts'
import { Load } from './load.ts'
import { waitFor } from '../../support/wait-for.ts'

import type { System } from './system.ts'

export interface Act {
  readonly name: string
  /** Whether it belongs to every run of the tests too. */
  readonly quick: boolean
  /** @param build the build that serves; @returns what is wrong */
  run(system: System, build: number): Promise<string[]>
}

const readers = 6
const foreignBuild = 666

export const acts: readonly Act[] = [
  {
    name: 'a clone whose files were changed is quarantined',
    quick: true,
    async run(system, build) {
      const { admission, clones } = await system.status()
      const file = join(system.data, 'builds', admission.current.id, 'app', 'build.ts')
      const before = await readFile(file, 'utf8')
      const load = new Load(system.url)
      load.start(readers)
      await writeFile(file, before.replace(/build = \d+/, `build = ${foreignBuild}`))
      process.kill(clones[0]?.pid ?? Number.NaN, 'SIGKILL')
      const seen = await waitFor(
        'a quarantine',
        async () => (await system.status()).quarantinedSinceStart > 0,
        60_000,
      ).catch(String)
      await delay(500)
      await writeFile(file, before)
      await waitFor(
        'the clone to be back',
        async () => {
          const { clones: now } = await system.status()
          return now.filter(({ state }) => state === 'ready').length === clones.length
        },
        60_000,
      )
      await load.stop()
      const foreign = load.sent.filter((one) => one.build !== null && one.build !== build)
      return [
        ...(seen === true ? [] : [String(seen)]),
        ...(foreign.length === 0 ? [] : [`${foreign.length} answers of a quarantined clone`]),
        ...(/runs another build than it should/.test(system.said) ? [] : ['it was not reported']),
      ]
    },
  },
  {
    name: 'a build that fails is taken back by itself',
    quick: true,
    async run(system, build) {
      const load = new Load(system.url)
      load.start(readers * 2)
      await system.edit(build + 100, { failing: true })
      const { code, output } = await system.rollout(['--percent', '50,100', '--hold', '20s'])
      const backMs = performance.now()
      await delay(500)
      await load.stop()
      await system.edit(build)
      const late = load.sent.filter((one) => one.begunMs > backMs && (one.build !== build || one.status !== 200))
      const { admission } = await system.status()
      return [
        ...(code === 1 ? [] : [`the command ended with ${code}`]),
        ...(/was taken back: \d+ of its \d+ requests failed/.test(output) ? [] : [`it does not say why: ${output}`]),
        ...(late.length === 0 ? [] : [`${late.length} requests after the return were not answered by the old build`]),
        ...(admission.share === 0 ? [] : ['the rollout is not over']),
      ]
    },
  },
  {
    name: 'a build that does not start changes nothing',
    quick: false,
    async run(system, build) {
      const load = new Load(system.url)
      load.start(readers)
      await system.edit(build + 100, { starts: false })
      const { code, output } = await system.rollout()
      await system.edit(build)
      await load.stop()
      const wrong = load.sent.filter((one) => one.build !== build || one.status !== 200)
      return [
        ...(code === 1 ? [] : [`the command ended with ${code}`]),
        ...(output.includes('this build cannot start') ? [] : [`it does not say why: ${output}`]),
        ...(wrong.length === 0
          ? []
          : [`${wrong.length} requests were not answered by the old build: ${JSON.stringify(wrong[0])}`]),
      ]
    },
  },
  {
    name: 'a migration that the old build cannot live with is refused',
    quick: true,
    async run(system, build) {
      const file = join(system.app, 'migrations', `9${build}_drop.sql`)
      await writeFile(file, 'alter table posts drop column build')
      await system.edit(build + 200)
      const { code, output } = await system.rollout()
      await rm(file)
      await system.edit(build)
      const ok = await fetch(`${system.url}/write?id=after-${build}`, { method: 'POST' })
      return [
        ...(code === 1 && output.includes('would break the build that still serves') ? [] : [`not refused: ${output}`]),
        ...(ok.status === 200 ? [] : [`the old build answers ${ok.status}`]),
      ]
    },
  },
  {
    name: 'a second rollout is refused, and one that is called off goes back',
    quick: true,
    async run(system, build) {
      await system.edit(build + 300)
      const before = (await system.status()).admission.current
      const rolling = system.rollout(['--percent', '50,100', '--hold', '60s'])
      await system.waitForShare(0.5)
      const second = await system.rollout()
      const abort = await system.rollout(['--abort'])
      const { code, output } = await rolling
      await system.edit(build)
      const { admission, clones } = await system.status()
      return [
        ...(second.code === 1 && second.output.includes('another rollout is under way')
          ? []
          : [`not refused: ${second.output}`]),
        ...(abort.code === 0 ? [] : [`it cannot be called off: ${abort.output}`]),
        ...(code === 1 && output.includes('was called off')
          ? []
          : [`it does not say that it was called off: ${output}`]),
        ...(admission.current.id === before.id && admission.current.ordinal === before.ordinal + 2
          ? []
          : ['it is not back']),
        ...(clones.every(({ buildId }) => buildId === before.id) ? [] : ['clones of the new build are left']),
      ]
    },
  },
  {
    name: 'a clone of the new build that is killed takes the build back',
    quick: false,
    async run(system, build) {
      await system.edit(build + 400)
      const load = new Load(system.url)
      load.start(readers * 2)
      const rolling = system.rollout(['--percent', '50,100', '--hold', '60s'])
      await system.waitForShare(0.5)
      const { admission, clones } = await system.status()
      const killed = performance.now()
      process.kill(clones.find(({ buildId }) => buildId !== admission.current.id)?.pid ?? Number.NaN, 'SIGKILL')
      const { code, output } = await rolling
      const backMs = performance.now()
      await delay(500)
      await load.stop()
      await system.edit(build)
      const { unexplained, duplicated, lost } = judge(
        load.sent,
        await system.stored(),
        [killed],
        new Set([build, build + 400]),
      )
      const late = load.sent.filter((one) => one.begunMs > backMs && one.build !== build)
      return [
        ...(code === 1 && /was taken back: clone-\d+\.\d+ (?:ended|does not answer)/.test(output)
          ? []
          : [`it ended with ${code}: ${output}`]),
        ...[...unexplained, ...duplicated, ...lost].map((one) => `failed, twice or lost: ${JSON.stringify(one)}`),
        ...(late.length === 0 ? [] : [`${late.length} requests after the return were not answered by the old build`]),
      ]
    },
  },
  {
    name: 'a balancer that is killed in the middle leaves every reader where it was',
    quick: false,
    async run(system, build) {
      await system.edit(build + 500)
      const load = new Load(system.url)
      load.start(readers * 2)
      const rolling = system.rollout(['--percent', '30,60,100', '--hold', '6s'])
      await system.waitForShare(0.3)
      process.kill(await system.pidOf('balancer'), 'SIGKILL')
      const { code, output } = await rolling
      await delay(500)
      await load.stop()
      const { backward, duplicated, lost, answersByBuild } = judge(
        load.sent,
        await system.stored(),
        [],
        new Set([build, build + 500]),
      )
      return [
        ...(code === 0 ? [] : [`it ended with ${code}: ${output}`]),
        ...[...backward, ...duplicated, ...lost].map((one) => `back, twice or lost: ${JSON.stringify(one)}`),
        ...((answersByBuild[build + 500] ?? 0) > 0 ? [] : ['nobody saw the new build']),
      ]
    },
  },
]
