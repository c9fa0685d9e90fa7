/** What a hit of a page costs each contender, in rounds that all take part in: CPU, rate, latency and memory. */

import { sendPageLoad } from './page-load.ts'
import { startContenders, type Closers, type Contender } from './pages-contenders.ts'
import { readCpuMs } from './cpu-time.ts'
import { readUse } from './process-use.ts'
import { median, type Report } from './report.ts'

interface Figures {
  readonly cpuUs: number[]
  readonly perSecond: number[]
  readonly p99Ms: number[]
  readonly memoryMiB: number[]
}

const connections = 32
const warmRounds = 2
const mostOfNginx = 2.2
const leastOfApp = 20
/** The part of the answers that may come from elsewhere, where a machine is so busy that a deadline passes. */
const mostMissed = 0.01

export async function measureHits(into: Report, quick: boolean): Promise<void> {
  const closers: Closers = []
  // The app makes each document anew: fewer are enough.
  const requests = quick ? { ready: 5_000, made: 300 } : { ready: 20_000, made: 1_500 }
  try {
    const contenders = await startContenders(requests, closers)
    report(await measure(contenders, quick ? 3 : 9), into)
  } finally {
    for (const close of closers.splice(0).toReversed()) await close()
  }
}

function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readCpuMs(pid), 0)
}

/** Every contender in each round, in an order that turns. */
async function measure(contenders: readonly Contender[], rounds: number): Promise<Map<string, Figures>> {
  const figures = new Map<string, Figures>(
    contenders.map(({ name }) => [name, { cpuUs: [], perSecond: [], p99Ms: [], memoryMiB: [] }]),
  )
  for (let round = -warmRounds; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const contender = contenders[(turn + round + warmRounds) % contenders.length]!
      const before = cpuMsOf(contender.pids)
      const {
        seconds,
        latenciesMs,
        others: missed,
      } = await sendPageLoad({ ...contender, connections }).catch((error: unknown) => {
        throw new Error(`${contender.name}, round ${round}: ${String(error)}`, { cause: error })
      })
      if (missed > contender.requests * mostMissed) {
        throw new Error(`${contender.name}, round ${round}: ${missed} answers without "${contender.expect}"`)
      }
      const after = cpuMsOf(contender.pids)
      if (round < 0) continue
      const into = figures.get(contender.name)!
      into.cpuUs.push(((after - before) * 1_000) / contender.requests)
      into.perSecond.push(contender.requests / seconds)
      into.p99Ms.push(latenciesMs.toSorted((a, b) => a - b)[Math.floor(latenciesMs.length * 0.99)]!)
      into.memoryMiB.push(contender.pids.reduce((sum, pid) => sum + readUse(pid).residentMiB, 0))
    }
  }
  return figures
}

function report(figures: ReadonlyMap<string, Figures>, into: Report): void {
  const own = figures.get('fourfold, anonymous')!.cpuUs
  for (const [contender, { cpuUs, perSecond, p99Ms, memoryMiB }] of figures) {
    into.add({ contender, metric: 'cpu_us_per_request', unit: 'µs', values: cpuUs })
    into.add({ contender, metric: 'requests_per_s', unit: '1/s', values: perSecond })
    into.add({ contender, metric: 'p99', unit: 'ms', values: p99Ms })
    into.add({ contender, metric: 'memory', unit: 'MiB', values: memoryMiB })
  }
  const ratios = (one: readonly number[], other: readonly number[]): number[] =>
    one.map((value, at) => value / other[at]!)
  const nginx = figures.get('nginx')?.cpuUs
  if (nginx !== undefined) {
    const values = ratios(own, nginx)
    into.add({
      contender: 'fourfold, anonymous / nginx',
      metric: 'cpu',
      unit: 'times',
      values,
      goal: { atMost: mostOfNginx },
    })
    const session = ratios(figures.get('fourfold, session')!.cpuUs, nginx)
    into.add({ contender: 'fourfold, session / nginx', metric: 'cpu', unit: 'times', values: session })
  }
  const saved = ratios(figures.get('app, not baked')!.cpuUs, own)
  into.add({
    contender: 'app, not baked / fourfold',
    metric: 'cpu',
    unit: 'times',
    values: saved,
    goal: { atLeast: leastOfApp },
  })
  console.log(`fourfold, anonymous: ${median(own).toFixed(1)} µs a page`)
}
