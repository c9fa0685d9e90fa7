/**
 * Readers and writers of the app: sessions of two tabs each, at all levels at once, every request sent to the balancer,
 * which chooses the clone. Each operation goes into the history when it has returned.
 */

import { Agent, request } from 'undici'

import { isIdentified, keepCookies } from '../sessions/traffic.ts'
import { appKinds, counters, groupOf, groups, pickOne, planWrite, posts, shaped, type Kind } from './write-kinds.ts'

import type { Shown, Wanted } from './app.ts'
import type { History, ReadLine } from './history.ts'
import type { Done } from './write-kinds.ts'
import type { Level } from '../../../src/freshness/level.ts'

export interface TrafficOptions {
  /** The balancer's address. */
  readonly url: string
  readonly history: History
  /** Begins the names of its sessions, and the ids of its writes. */
  readonly name: string
  /** The level of each session. */
  readonly levels: readonly Level[]
  readonly writeShare: number
  /** Of the reads, how many go through the cache. */
  readonly cachedShare: number
  /** The rows of tables that joined late. */
  readonly late: readonly string[]
  /** Default: all that apps write. */
  readonly kinds?: readonly Kind[]
}

interface Answer {
  readonly body: unknown
  readonly clone: string
  readonly cacheStatus: string
}

const tabsPerSession = 2
const timeoutMs = 4_000
const longestPauseMs = 12
/** After a failure a client waits a moment. */
const retryMs = 100
/** Half of the reads are of what was read or written last. */
const againShare = 0.5

export class Traffic {
  readonly #options: TrafficOptions
  readonly #agent = new Agent({
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connectTimeout: 1_000,
    connections: 64,
  })
  readonly #cookies = new Map<string, Map<string, string>>()
  #running: Promise<unknown> | null = null
  #over = false
  #count = 0

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  start(): void {
    const { levels, name } = this.#options
    this.#running = Promise.all(levels.map((level, at) => this.#live(`${name}-${at}`, level)))
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
    await this.#agent.destroy()
  }

  /** Writes and reads that row back at `strict`; answers whether both succeeded. */
  async works(): Promise<boolean> {
    const session = `${this.#options.name}-0`
    if (!(await this.#write(session, 'session', 'update'))) return false
    const wanted = { ...wantedOf('object', [counters[0]!]), cached: true }
    return await this.#read(session, 'strict', wanted)
  }

  /** Every row at `strict`, without the cache and with it: what was acknowledged and is not there now is lost. */
  async readAll(session: string): Promise<boolean> {
    const keys = [...counters, ...posts, ...shaped]
    for (const cached of [false, true]) {
      const reads = keys.map((key) => this.#read(session, 'strict', { ...wantedOf('row', [key]), cached }))
      if (!(await Promise.all(reads)).every(Boolean)) return false
    }
    return true
  }

  async #live(session: string, level: Level): Promise<void> {
    // A reader who is known by a cookie gets it with the first write; two first writes at once would be two readers.
    while (!this.#over && !isIdentified(session)) {
      if (await this.#write(session, level, 'update')) break
      await pause(retryMs)
    }
    await Promise.all(Array.from({ length: tabsPerSession }, () => this.#browse(session, level)))
  }

  async #browse(session: string, level: Level): Promise<void> {
    const { writeShare } = this.#options
    let last = this.#pickRead()
    while (!this.#over) {
      const writes = Math.random() < writeShare
      if (!writes && Math.random() > againShare) last = this.#pickRead()
      const done = writes ? await this.#write(session, level) : await this.#read(session, level, last)
      if (!done) await pause(retryMs)
      if (!writes) await pause(Math.random() * longestPauseMs)
    }
  }

  #pickRead(): Wanted {
    const { cachedShare, late } = this.#options
    const cached = Math.random() < cachedShare
    const wanted = pickWanted(cached, late)
    return { ...wanted, cached, once: cached && Math.random() < 0.03 }
  }

  async #read(session: string, level: Level, wanted: Wanted): Promise<boolean> {
    const invoked = performance.now()
    const read = wanted.once ? 'strict' : level
    const base = { operation: 'read', session, level: read, kind: wanted.kind, invoked } as const
    const snapshot = !['board', 'objects'].includes(wanted.kind)
    try {
      const { body, clone, cacheStatus } = await this.#send('read', session, level, wanted)
      const { items, sum: value, server } = body as Shown
      const served = wanted.cached ? servedBy(cacheStatus) : ({ tier: 'database', server } as const)
      const sum = value === undefined ? {} : { sum: { keys: wanted.keys, value } }
      this.#options.history.add({ ...base, returned: performance.now(), items, snapshot, ...sum, clone, ...served })
      return true
    } catch (error) {
      const returned = performance.now()
      const failed = { items: null, snapshot, clone: '', server: '', tier: '', note: noteOf(error) } as const
      this.#options.history.add({ ...base, returned, ...failed })
      return false
    }
  }

  async #write(session: string, level: Level, kind: Kind = pickOne(this.#options.kinds ?? appKinds)): Promise<boolean> {
    const plan = planWrite(kind)
    const id = `${this.#options.name}_${(this.#count += 1)}`
    const { history } = this.#options
    const invoked = performance.now()
    history.add({ operation: 'begin', id, invoked, keys: plan.keys, removes: plan.removes })
    const base = { operation: 'write', id, session, kind, invoked } as const
    try {
      const { body, clone } = await this.#send('write', session, level, { ...plan, id })
      history.add({ ...base, ...(body as Done), returned: performance.now(), clone })
      return true
    } catch (error) {
      const returned = performance.now()
      history.add({ ...base, outcome: 'unknown', items: [], undone: [], returned, clone: '', note: noteOf(error) })
      return false
    }
  }

  async #send(path: 'read' | 'write', session: string, level: Level, body: unknown): Promise<Answer> {
    const jar = this.#jar(session)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await request(`${this.#options.url}/${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-level': level,
        ...(isIdentified(session) ? { 'x-reader': session } : {}),
        ...(cookie === '' ? {} : { cookie }),
      },
      body: JSON.stringify(body),
      dispatcher: this.#agent,
    })
    keepCookies(jar, answer.headers['set-cookie'] ?? [])
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text.slice(0, 160)}`)
    const { headers } = answer
    const cacheStatus = String(headers['cache-status'] ?? '')
    return { body: JSON.parse(text), clone: String(headers['x-fourfold-clone'] ?? ''), cacheStatus }
  }

  #jar(session: string): Map<string, string> {
    let jar = this.#cookies.get(session)
    if (jar === undefined) this.#cookies.set(session, (jar = new Map()))
    return jar
  }
}

/** Some rows are read more than others. */
function pickWanted(cached: boolean, late: readonly string[]): Wanted {
  const kinds = cached
    ? (['object', 'object', 'object', 'objects', 'board', 'row', 'rows', 'sum'] as const)
    : (['row', 'row', 'rows', 'sum'] as const)
  const kind = pickOne(kinds)
  const group = Math.floor(Math.random() * groups)
  switch (kind) {
    case 'sum':
      return wantedOf(kind, groupOf(counters, group), group)
    case 'rows':
      return wantedOf(kind, groupOf(pickOne([counters, posts]), group), group)
    case 'objects':
      return wantedOf(kind, counters.slice(group * 3, group * 3 + 4))
    case 'board':
      return wantedOf(kind, [counters[group]!, posts[group]!])
    case 'object':
      return wantedOf(kind, [pickSkewed(pickOne([counters, counters, posts, posts, shaped]))])
    default:
      // The newest tables, which have hardly joined.
      if (late.length > 0 && Math.random() < 0.15) return wantedOf('row', [pickOne(late.slice(-2))])
      return wantedOf('row', [pickSkewed(pickOne([counters, posts, posts, shaped]))])
  }
}

function wantedOf(kind: Wanted['kind'], keys: readonly string[], group = 0): Wanted {
  return { kind, cached: false, table: keys[0]!.split('/')[0]!, keys, group, once: false }
}

function pickSkewed<Value>(values: readonly Value[]): Value {
  return values[Math.floor(Math.random() ** 2 * values.length)]!
}

/** From the field `Cache-Status` of one look-up, or of several: what served the one that came from furthest away. */
function servedBy(status: string): Pick<ReadLine, 'tier' | 'server' | 'note'> {
  const members = status.split(', ').filter((member) => /; (hit|fwd)/.test(member))
  const detailOf = (member: string): string => /; detail=([\w-]+)/.exec(member)?.[1] ?? '?'
  const load = members.find((member) => member.includes('; fwd=') && !member.includes('; collapsed'))
  const server = (load ?? members[0] ?? '').endsWith('; replica') ? 'replica' : ''
  if (load !== undefined) return { tier: 'load', server, note: detailOf(load) }
  const details = members.map(detailOf)
  const tier = (['tier', 'joined', 'previous', 'memory'] as const).find((one) => details.includes(one))
  return { tier: tier ?? '', server }
}

function noteOf(error: unknown): string {
  return (error as Error).message
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
