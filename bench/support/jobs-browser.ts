/** From the request that orders a job to the event that says it is done, as a browser hears it: ours alone. */

import { setTimeout as pause } from 'node:timers/promises'

import { ours } from './jobs-contenders.ts'
import { quantile } from './jobs-rounds.ts'
import { usualConcurrency } from './jobs-speed.ts'

import type { JobsGround } from './jobs-ground.ts'
import type { Report } from './report.ts'

const warmUps = 10
const withinMs = 30_000

export async function measureBrowser(ground: JobsGround, report: Report, quick: boolean): Promise<void> {
  const { name, places, client, host } = ground.contenders.find((one) => one.name === ours)!
  await client.clear()
  const server = ground.host()
  const rounds: (readonly number[])[] = []
  try {
    const port = await server.serve(places)
    await host.start({ contender: name, places, concurrency: usualConcurrency, mode: 'tell' })
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      rounds.push(await sample(`http://127.0.0.1:${port}`, quick ? 20 : 100))
    }
    await host.rest()
    await server.rest()
  } finally {
    server.kill()
  }
  const middles = rounds.map((samples) => quantile(samples, 0.5))
  const metric = 'order by HTTP to event of its end'
  report.add({ contender: ours, metric: `${metric}, p50`, unit: 'ms', values: middles })
  report.add({ contender: ours, metric: `${metric}, p99`, unit: 'ms', values: [quantile(rounds.flat(), 0.99)] })
}

async function sample(url: string, count: number): Promise<readonly number[]> {
  const samples: number[] = []
  for (let n = 0; n < warmUps + count; n += 1) {
    const beganMs = performance.now()
    await orderAndHear(url)
    if (n >= warmUps) samples.push(performance.now() - beganMs)
    await pause(20 + 20 * Math.random())
  }
  return samples
}

async function orderAndHear(url: string): Promise<void> {
  const headers = { 'x-reader': 'somebody' }
  const signal = AbortSignal.timeout(withinMs)
  const ordered = await fetch(`${url}/order`, { method: 'POST', headers, signal })
  await ordered.arrayBuffer()
  // It was done before the answer left, and the answer says so.
  if (ordered.status === 200) return
  if (ordered.status !== 202) throw new Error(`an order was answered with ${ordered.status}`)
  const events = await fetch(`${url}${ordered.headers.get('location')}/events`, { headers, signal })
  let text = ''
  for await (const part of events.body!.pipeThrough(new TextDecoderStream())) {
    text += part
    if (text.includes('event: done\n')) return
  }
  throw new Error('the events of a job ended before it was done')
}
