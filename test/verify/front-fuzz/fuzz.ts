/**
 * Sends valid requests with their bytes tampered with to a balancer in a process of its own, over raw sockets, many at
 * a time and the same for the same seed, and holds to account what comes out on both sides: the process lives and answers in time; what the
 * clone reads is strict HTTP that the balancer wrote; nobody is given another's answer; whoever sent nothing bad is
 * answered in full; and in the end nothing is left over.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as startTimer } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { startBalancerProcess, type BalancerProcess } from '../../support/balancer-process.ts'
import type { BalancerProcessSettings, Measured } from '../../integration/fixtures/balancer-process.ts'
import { waitFor } from '../../support/wait-for.ts'
import { startFuzzClone, type FuzzClone } from './clone.ts'
import { cutIntoPieces, makeRequests, mutate, tokenOf } from './mutations.ts'
import { createRandom, type Random } from './random.ts'

export interface FuzzOptions {
  readonly seed: number
  /** Ends after so many connections, or after so long. */
  readonly connections: number
  readonly withinMs: number
  readonly plant?: BalancerProcessSettings['plant']
  readonly nativeParser?: boolean
}

export interface FuzzResult {
  readonly connections: number
  readonly forwarded: number
  readonly refused: number
  readonly slowestProbeMs: number
  readonly heapGrowthMiB: number
  /** Empty if all is well. */
  readonly faults: readonly string[]
}

const atOnce = 24
const quietMs = 100
const probeLimitMs = 3000
const hangMs = 6000
const heapGrowthLimitMiB = 24
/** No run is worth more than this. */
const enoughFaults = 5

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const random = createRandom(options.seed)
  const clone = await startFuzzClone(createRandom(options.seed + 1))
  const front = await startBalancerProcess({
    upstreams: [clone.raw.upstream],
    ...{ headerTimeoutMs: 1500, bodyTimeoutMs: 1000, requestTimeoutMs: 3000, idleTimeoutMs: 2000 },
    nativeParser: options.nativeParser ?? true,
    ...(options.plant === undefined ? {} : { plant: options.plant }),
  })
  const run = new FuzzRun(options, random, clone, front)
  try {
    return await run.finish()
  } finally {
    await front.stop()
    await clone.raw.close()
  }
}

class FuzzRun {
  readonly #options: FuzzOptions
  readonly #random: Random
  readonly #clone: FuzzClone
  readonly #front: BalancerProcess
  readonly #faults: string[] = []
  readonly #seen = new Map<string, number>()
  /** What is being sent: if the balancer ends, it was one of these. */
  readonly #under = new Map<number, readonly string[]>()
  #next = 0
  #refused = 0
  #slowestProbeMs = 0
  #over = false

  constructor(options: FuzzOptions, random: Random, clone: FuzzClone, front: BalancerProcess) {
    this.#options = options
    this.#random = random
    this.#clone = clone
    this.#front = front
  }

  async finish(): Promise<FuzzResult> {
    await this.#control()
    const before = await this.#front.measure()
    this.#front.child.once('exit', (_code, signal) => {
      if (signal === 'SIGKILL') return
      this.#faults.unshift(`the balancer ended under one of ${JSON.stringify([...this.#under.values()])}`)
    })
    const probing = this.#probe()
    const until = performance.now() + this.#options.withinMs
    await Promise.all(Array.from({ length: atOnce }, () => this.#work(until)))
    this.#over = true
    await probing
    const heapGrowthMiB = this.#front.alive() ? await this.#checkRest(before) : 0
    this.#faults.push(...this.#clone.raw.violations, ...this.#clone.faults)
    return {
      connections: this.#next,
      forwarded: this.#clone.answered.size,
      refused: this.#refused,
      slowestProbeMs: this.#slowestProbeMs,
      heapGrowthMiB,
      faults: this.#faults,
    }
  }

  /** Nothing was heard: the balancer may have ended, which is known a moment later. */
  async #lives(received: string): Promise<boolean> {
    const { child, alive } = this.#front
    child.setMaxListeners(0)
    if (received === '') await Promise.race([once(child, 'exit'), setTimeout(1000, undefined, { ref: false })])
    return alive()
  }

  /** Whatever goes on, health and somebody who asks properly are answered in time. */
  async #probe(): Promise<void> {
    while (!this.#over && this.#wrong() < enoughFaults) {
      const begunMs = performance.now()
      const health = await exchange(
        this.#front.port,
        ['GET /.fourfold/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
        1,
      )
      const tookMs = performance.now() - begunMs
      this.#slowestProbeMs = Math.max(this.#slowestProbeMs, tookMs)
      if (!this.#front.alive()) return
      if (!health.received.includes('"status":"ok"') || tookMs > probeLimitMs) {
        this.#faults.push(`health after ${tookMs.toFixed()} ms: ${health.received.slice(0, 200)}`)
      }
      await this.#control()
    }
  }

  async #control(): Promise<void> {
    const connection = (this.#next += 1)
    const bytes = `GET /${tokenOf(connection)} HTTP/1.1\r\nHost: a\r\nX-Conn: ${tokenOf(connection)}\r\nConnection: close\r\n\r\n`
    const { received } = await exchange(this.#front.port, [bytes], 1)
    if (!(await this.#lives(received))) return
    this.#checkAnswers(connection, received, bytes)
    if (!received.startsWith('HTTP/1.1 200 '))
      this.#faults.push(`asked properly, and was told ${JSON.stringify(received)}`)
  }

  async #work(until: number): Promise<void> {
    while (this.#next < this.#options.connections && performance.now() < until && this.#wrong() < enoughFaults) {
      const connection = (this.#next += 1)
      const requests = makeRequests(this.#random, connection)
      const valid = requests.join('')
      const bytes = mutate(this.#random, valid)
      const pieces = cutIntoPieces(this.#random, bytes)
      this.#under.set(connection, pieces)
      const patienceMs = bytes === valid ? hangMs : quietMs
      const { received, hung } = await exchange(this.#front.port, pieces, requests.length, patienceMs)
      if (!(await this.#lives(received))) return
      this.#under.delete(connection)
      if (hung) this.#faults.push(`connection ${connection} was not closed after ${JSON.stringify(bytes)}`)
      if (/^HTTP\/1\.1 4\d\d /m.test(received)) this.#refused += 1
      this.#checkAnswers(connection, received, bytes)
      if (bytes === valid) this.#checkWhole(connection, received, requests.length)
    }
  }

  #wrong(): number {
    return this.#faults.length + this.#clone.faults.length + this.#clone.raw.violations.length
  }

  /** Each answer was for a request of this connection, and nobody has had it before. */
  #checkAnswers(connection: number, received: string, sent: string): void {
    for (const [mark] of received.matchAll(/<\d+>/g)) {
      const request = this.#clone.answered.get(mark)
      const tokens = [...(request?.raw ?? '').matchAll(/c\d+c/g)].map(([token]) => token)
      const own =
        tokens.length === 0 || tokens.includes(tokenOf(connection)) || tokens.some((token) => sent.includes(token))
      if (request === undefined || !own)
        this.#faults.push(`connection ${connection} was given an answer for ${tokens[0]}`)
      const other = this.#seen.get(mark)
      if (other !== undefined) this.#faults.push(`connection ${connection} was given the answer of ${other}`)
      this.#seen.set(mark, connection)
    }
  }

  /** Nothing was tampered with. */
  #checkWhole(connection: number, received: string, count: number): void {
    const answers = received.match(/HTTP\/1\.1 200 /g)?.length ?? 0
    if (answers === count || /HTTP\/1\.1 502 /.test(received)) return
    this.#faults.push(
      `connection ${connection} sent ${count} valid requests and got ${JSON.stringify(received.slice(0, 600))}`,
    )
  }

  /** Connections to clones are kept for a while: those, and a few timers, may be there beside what was before. */
  async #left(before: Measured): Promise<number> {
    const { resources } = await this.#front.measure()
    return resources.length - before.resources.length - this.#clone.raw.connections() - 4
  }

  /** What is left when everybody has gone. */
  async #checkRest(before: Measured): Promise<number> {
    try {
      await waitFor('connections to clones to rest', () => this.#clone.raw.unfinished().length === 0, hangMs)
      await waitFor('sockets and timers to go', async () => (await this.#left(before)) <= 0, hangMs)
    } catch {
      const { resources } = await this.#front.measure()
      this.#faults.push(`left over: ${(await this.#left(before)).toFixed()} of ${resources.join(' ')}`)
    }
    const growth = (await this.#front.measure()).heapMiB - before.heapMiB
    if (growth > heapGrowthLimitMiB) this.#faults.push(`the heap has grown by ${growth.toFixed(1)} MiB`)
    return growth
  }
}

interface Exchanged {
  readonly received: string
  readonly hung: boolean
}

/** Sends the pieces, hears the answers, leaves when there is nothing more to hear, and sees the other side leave too. */
function exchange(
  port: number,
  pieces: readonly string[],
  expected: number,
  patienceMs: number = hangMs,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    let quiet: NodeJS.Timeout | undefined
    let hung = false
    const leave = (): void => void socket.end()
    const late = startTimer(() => {
      hung = true
      socket.destroy()
    }, hangMs)
    const wait = (): void => {
      clearTimeout(quiet)
      // Whoever has had every answer waits a moment for what should not come.
      quiet = startTimer(leave, (received.match(/HTTP\/1\.1 [2-5]\d\d /g)?.length ?? 0) >= expected ? 2 : patienceMs)
    }
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      received += chunk
      wait()
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(late)
      clearTimeout(quiet)
      resolve({ received, hung })
    })
    void write(socket, pieces).then(wait)
  })
}

async function write(socket: ReturnType<typeof connect>, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    if (!socket.writable) return
    await new Promise<void>((resolve) => socket.write(piece, 'latin1', () => setImmediate(resolve)))
  }
}
