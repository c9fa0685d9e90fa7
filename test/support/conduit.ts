/**
 * Conduit for tests: as a system of several clones behind the balancer, on a primary and two replicas of which one is
 * late; and a client that says what it sent when an answer is not as expected.
 */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'

import { resolveConfig } from '../../src/app/config.ts'
import { loadApp } from '../../src/app/load-app.ts'
import { startSystem } from '../../src/app/start.ts'
import { silentLogger } from '../../src/core/log.ts'
import { connect, endAfter, makeDirectory, until, type Cleanup } from './postgres.ts'

export interface RunningConduit {
  readonly url: string
  /** Waits until both replicas have what was written so far: before one reader looks at what another did. */
  caughtUp(): Promise<void>
  /** A connection of its own to the primary. */
  connect(t: Cleanup): Promise<Connection>
  /** Kills one clone after the other, each once the one before is replaced, until there is enough of it. */
  killClones(enough: () => boolean): Promise<void>
}

type Connection = Awaited<ReturnType<typeof connect>>

export interface ConduitOptions {
  /** The file that defines the app. Default: the example's own. */
  readonly app?: URL
  /** Default: 3. */
  readonly clones?: number
}

const ownApp = new URL('../../examples/conduit/src/app.ts', import.meta.url)
const replicaDelayMs = 200

/** Starts Conduit on an empty database; `CONDUIT_URL` names one that runs already. */
export async function startConduit(t: Cleanup, options: ConduitOptions = {}): Promise<RunningConduit> {
  const { app: url = ownApp, clones: count = 3 } = options
  const running = process.env['CONDUIT_URL']
  if (running !== undefined) return { url: running, caughtUp: async () => undefined, ...notOurs }
  const appFile = fileURLToPath(url)
  const app = await loadApp(appFile)
  const dataDir = await makeDirectory(t, 'conduit-')
  const overrides = { clones: count, balancer: { port: 0 }, dataDir, logLevel: 'error' as const }
  const config = resolveConfig(withReplicas(app.definition), {}, overrides)
  const system = await startSystem({ app, appFile, config, overrides, env: {}, log: silentLogger })
  endAfter(t, () => system.stop())
  await system.databases.embedded.get('main')?.setReplicaDelay(0, replicaDelayMs)
  const { primary, replicas } = system.connections.databases['main'] ?? assert.fail('expected a database')
  const source = await connect(t, primary)
  const targets = await Promise.all(replicas.map((replica) => connect(t, replica.address)))
  assert.equal(targets.length, 2)
  const caughtUp = async (): Promise<void> => {
    const { rows } = await source.query('select pg_current_wal_flush_lsn() as lsn')
    const query = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as reached'
    for (const target of targets) {
      await until('a replica', async () => (await target.query(query, [rows[0].lsn])).rows[0].reached)
    }
  }
  const killClones = async (enough: () => boolean): Promise<void> => {
    const clones = readyClones(system)
    for (const pid of clones) {
      if (enough()) return
      process.kill(pid, 'SIGKILL')
      const isReplaced = (ready: readonly number[]): boolean => ready.length === clones.length && !ready.includes(pid)
      // Also where it was enough: others are not to find a system that is not whole.
      await until('a clone in its place', async () => isReplaced(readyClones(system)), 30_000)
    }
  }
  return { url: system.url, caughtUp, connect: (whom) => connect(whom, primary), killClones }
}

/** What tests may not do to a system that others started. */
const notOurs: Pick<RunningConduit, 'connect' | 'killClones'> = {
  connect: () => assert.fail('the database of a Conduit that runs already is not known'),
  killClones: () => assert.fail('the clones of a Conduit that runs already are not ours'),
}

function readyClones({ supervisor }: Awaited<ReturnType<typeof startSystem>>): readonly number[] {
  const clones = supervisor.members('clone').filter(({ state }) => state === 'ready')
  return clones.map((member) => member.process.pid)
}

function withReplicas(definition: object & { databases: Readonly<Record<string, object>> }): object {
  return { ...definition, databases: { main: { ...definition.databases['main'], replicas: 2 } } }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON, or undefined where it is none. */
  readonly json: any
}

export interface Sending {
  readonly token?: string | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Call = (method: string, path: string, sending?: Sending) => Promise<Answer>

/** A client of the API at `url` (without `/api`). */
export function createClient(url: string): Call {
  return async (method, path, { token, body, raw, headers = {} } = {}) => {
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(`${url}/api${path}`, {
      method,
      headers: {
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Token ${token}` }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: parse(text) }
  }
}

export interface Member {
  readonly username: string
  readonly email: string
  readonly password: string
  readonly token: string
}

/** A word that no other test uses. */
export function unique(word: string): string {
  return `${word}${randomBytes(5).toString('hex')}`
}

/** Registers somebody new. */
export async function register(call: Call, name = 'user'): Promise<Member> {
  const username = unique(name)
  const member = { username, email: `${username}@example.com`, password: 'correct horse' }
  const answer = await call('POST', '/users', { body: { user: member } })
  assert.equal(answer.status, 201, answer.text)
  return { ...member, token: answer.json.user.token }
}

/** Publishes an article and answers it. */
export async function publish(call: Call, author: Member, article: object = {}): Promise<any> {
  const body = { title: unique('An article '), description: 'What it is about', body: 'Its *text*', ...article }
  const answer = await call('POST', '/articles', { token: author.token, body: { article: body } })
  assert.equal(answer.status, 201, answer.text)
  return answer.json.article
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
