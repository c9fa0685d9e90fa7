/** How soon a change shows: from a commit outside of the app to the first answer of the balancer that has it. */

import type { PagesSystem } from './pages-system.ts'
import type { Report } from './report.ts'

const pages = 50
const apartMs = 40

/**
 * One reader asks again and again; so do the others whom a popular page has, but what counts is who sees it first.
 *
 * @param changes how many commits, apart from each other
 */
export async function measureChanges(ground: PagesSystem, report: Report, changes: number): Promise<void> {
  await ground.outside.query(
    `insert into notes select n, 'note ' || n from generate_series(1, $1::int) n on conflict do nothing`,
    [pages],
  )
  for (let id = 1; id <= pages; id += 1) await untilHeld(ground, id)
  const firstMs: number[] = []
  const bakedMs: number[] = []
  for (let round = 0; round < changes; round += 1) {
    const id = 1 + (round % pages)
    const text = `changed ${round}`
    await ground.outside.query('update notes set text = $2 where id = $1', [id, text])
    const committed = performance.now()
    let seen: number | null = null
    for (;;) {
      const found = await ground.get(id)
      const ms = performance.now() - committed
      if (found.text === text) seen ??= ms
      if (found.text === text && found.fromBalancer) {
        bakedMs.push(ms)
        break
      }
      if (ms > 10_000) throw new Error(`the change of note ${id} does not show: ${JSON.stringify(found)}`)
    }
    firstMs.push(seen ?? Number.POSITIVE_INFINITY)
    await new Promise((resolve) => setTimeout(resolve, apartMs))
  }
  const add = (metric: string, values: number[], share: number, atMost?: number): void => {
    const value = values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) * share)]!
    report.add({ contender: 'fourfold', metric, unit: 'ms', values: [value], ...(atMost && { goal: { atMost } }) })
  }
  add('commit to new page served, p50', firstMs, 0.5, 30)
  add('commit to new page served, p99', firstMs, 0.99, 150)
  add('commit to new page in the balancer, p50', bakedMs, 0.5)
  add('commit to new page in the balancer, p99', bakedMs, 0.99)
}

export async function untilHeld(ground: PagesSystem, id: number): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await ground.get(id)).fromBalancer) {
    if (performance.now() > deadline) throw new Error(`note ${id} is not held by the balancer`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
