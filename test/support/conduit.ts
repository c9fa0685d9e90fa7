/** Conduit for tests: a running one, and a client that says what it sent when an answer is not as expected. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'

import { open } from 'fourfold'
import app from '../../examples/conduit/src/app.ts'
import { endAfter, makeDirectory, type Cleanup } from './postgres.ts'

/** Starts Conduit in this process, on an empty database; `CONDUIT_URL` names one that runs already. */
export async function startConduit(t: Cleanup): Promise<string> {
  const running = process.env['CONDUIT_URL']
  if (running !== undefined) return running
  const dataDir = await makeDirectory(t, 'conduit-')
  const ff = await open(app, { config: { dataDir, logLevel: 'error' }, env: {} })
  endAfter(t, () => ff.close())
  const server = await app.definition.server?.(ff)
  assert.ok(server && 'listen' in server && 'close' in server)
  const url = await (server.listen as (where: object) => unknown)({ host: '127.0.0.1', port: 0 })
  endAfter(t, async () => void (await (server.close as () => unknown)()))
  return String(url)
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
