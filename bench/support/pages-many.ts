/** What many pages cost: the time of a full bake, the memory of balancer and workers, and a start with all of them. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { untilHeld } from './pages-changes.ts'
import { readUse } from './process-use.ts'

import type { PagesSystem } from './pages-system.ts'
import type { Report } from './report.ts'

const command = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const readersAtOnce = 16
const sampled = 300

export async function measureMany(ground: PagesSystem, report: Report, pages: number): Promise<void> {
  const { system, outside } = ground
  const add = (metric: string, unit: string, value: number): void =>
    report.add({ contender: 'fourfold', metric: `${metric}, ${pages} pages`, unit, values: [value] })
  const residentMiB = (kind: 'balancer' | 'worker'): number =>
    system.processes(kind).reduce((sum, pid) => sum + readUse(pid).residentMiB, 0)
  const [balancerBefore, workerBefore] = [residentMiB('balancer'), residentMiB('worker')]
  await outside.query(
    `insert into notes select n, 'note ' || n from generate_series(1, $1::int) n on conflict do nothing`,
    [pages],
  )
  const cpuBefore = system.processes('worker').reduce((sum, pid) => sum + readUse(pid).cpuMs, 0)
  add('full bake (fourfold bake --all)', 's', await bakeAll(ground))
  const cpu = system.processes('worker').reduce((sum, pid) => sum + readUse(pid).cpuMs, 0) - cpuBefore
  add('full bake: CPU of the workers, each page', 'µs', (1_000 * cpu) / pages)
  add('resident memory of the worker more than without', 'MiB', residentMiB('worker') - workerBefore)
  add('all pages read once through the balancer', 's', await readAll(ground, pages))
  add('resident memory of the balancer more than without', 'MiB', residentMiB('balancer') - balancerBefore)
  add('start again, until ready', 's', await ground.startAgain())
  const begun = performance.now()
  const step = Math.max(1, Math.floor(pages / sampled))
  let rendered = 0
  for (let id = 1; id <= pages; id += step) {
    if ((await ground.get(id)).fromBalancer) continue
    rendered += 1
    await untilHeld(ground, id)
  }
  add(
    `then until a sample of ${Math.ceil(pages / step)} is answered by the balancer`,
    's',
    (performance.now() - begun) / 1_000,
  )
  add('of the sample, not there at the first request', '%', (100 * rendered) / Math.ceil(pages / step))
}

async function bakeAll({ app, data }: PagesSystem): Promise<number> {
  const begun = performance.now()
  const words = ['-C', 'fourfold:source', command, 'bake', app, '--all', '--data', data]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'exit')) as [number]
  if (code !== 0) throw new Error(`fourfold bake ended with ${code}: ${said.slice(-500)}`)
  return (performance.now() - begun) / 1_000
}

async function readAll(ground: PagesSystem, pages: number): Promise<number> {
  const begun = performance.now()
  let next = 1
  const read = async (): Promise<void> => {
    while (next <= pages) await ground.get(next++)
  }
  await Promise.all(Array.from({ length: readersAtOnce }, read))
  return (performance.now() - begun) / 1_000
}
