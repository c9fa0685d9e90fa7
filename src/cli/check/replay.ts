/** Replays a script once: against one clone or several, each request by the clone that the route names. */

import { createCookieJar, type CookieJar } from './cookie-jar.ts'
import { send } from './send.ts'
import { scriptError, type Script, type ScriptRequest, type Text } from './script.ts'
import { fillIn, MissingValue, type Known } from './text.ts'

import type { Answer } from './answer.ts'
import type { Route } from './routes.ts'

/** What a clone tried, and Node's permission model counts as more than answering. */
export interface Access {
  /** `FileSystemWrite`, `ChildProcess`, … */
  readonly permission: string
  /** The file, or empty. */
  readonly resource: string
  /** The app's line that did it, or empty. */
  readonly by: string
}

/** The clones of one run. */
export interface Clones {
  /** All of them: 1, 2, … */
  readonly numbers: readonly number[]
  /** Where a clone listens, counted from 1; waits for one that is started again. */
  address(clone: number): Promise<{ readonly host: string; readonly port: number }>
  /** What this clone has tried since it was last asked, also when Node refused it and the app hid that. */
  accesses(clone: number): Promise<readonly Access[]>
}

export interface Step {
  readonly request: ScriptRequest
  readonly clone: number
  /** Null: it could not be sent, because an earlier answer lacked what it needs. */
  readonly answer: Answer | null
  readonly unsent: string | null
  readonly accesses: readonly Access[]
}

export interface Replayed {
  readonly steps: readonly Step[]
  /** What clones tried before their first request. */
  readonly atStart: readonly Access[]
}

export interface ReplayOptions {
  readonly script: Script
  readonly clones: Clones
  readonly route: Route
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

interface State {
  readonly known: Known & { readonly answers: Map<string, Answer>; readonly captured: Map<string, string | null> }
  readonly jars: Map<string, CookieJar>
  /** The origin that all requests must have; null: none was named yet. */
  origin: string | null
}

/** The host that requests name where the script does not. */
const unnamedOrigin = 'http://127.0.0.1:8080'

/** Rejects with FF_CHECK_SCRIPT for an address on another host, and when the signal says so. */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const { script, route, clones } = options
  const known = { variables: script.variables, answers: new Map(), captured: new Map() }
  const state: State = { known, jars: new Map(), origin: null }
  const steps: Step[] = []
  const atStart = (await Promise.all(clones.numbers.map((clone) => clones.accesses(clone)))).flat()
  for (const request of script.requests) {
    options.signal.throwIfAborted()
    const clone = route.next(request)
    const outcome = await attempt(request, clone, state, options)
    steps.push({ request, clone, ...outcome, accesses: await clones.accesses(clone) })
  }
  return { steps, atStart }
}

async function attempt(
  request: ScriptRequest,
  clone: number,
  state: State,
  options: ReplayOptions,
): Promise<Pick<Step, 'answer' | 'unsent'>> {
  try {
    const answer = await sendOne(request, clone, state, options)
    if (request.name !== null) state.known.answers.set(request.name, answer)
    for (const { name, pattern } of request.captures) {
      const match = pattern.exec(answer.body.toString())
      state.known.captured.set(name, match === null ? null : (match[1] ?? match[0]))
    }
    return { answer, unsent: null }
  } catch (error) {
    if (error instanceof MissingValue) return { answer: null, unsent: error.message }
    throw error
  }
}

async function sendOne(
  request: ScriptRequest,
  clone: number,
  state: State,
  { clones, timeoutMs, signal }: ReplayOptions,
): Promise<Answer> {
  const text = (value: Text): string => fillIn(value, state.known).toString()
  const url = urlOf(text(request.target), request, state)
  const given = request.headers.map(([name, value]) => [name, text(value)] as [string, string])
  const jar = jarOf(request, state)
  const path = url.pathname + url.search
  const { host, port } = await clones.address(clone)
  const headers = completeHeaders(given, url, jar?.header(url.pathname) ?? null)
  const body = request.body === null ? null : fillIn(request.body, state.known)
  const answer = await send({ host, port, method: request.method, path, headers, body, timeoutMs, signal })
  const cookies = answer.headers.flatMap(([name, value]) => (name === 'set-cookie' ? [value] : []))
  jar?.keep(cookies, url.pathname)
  return answer
}

function urlOf(target: string, { place }: ScriptRequest, state: State): URL {
  const absolute = target.startsWith('/')
    ? (state.origin ?? unnamedOrigin) + target
    : /^https?:\/\//i.test(target)
      ? target
      : `http://${target}`
  if (!URL.canParse(absolute)) throw scriptError(place, `${JSON.stringify(target)} is no address`)
  const url = new URL(absolute)
  if (target.startsWith('/')) return url
  state.origin ??= url.origin
  if (url.origin === state.origin) return url
  throw scriptError(place, `this asks ${url.origin}, and the requests before it ${state.origin}: one app is checked`)
}

function jarOf({ cookies, user }: ScriptRequest, { jars }: State): CookieJar | null {
  if (!cookies) return null
  const jar = jars.get(user) ?? createCookieJar()
  jars.set(user, jar)
  return jar
}

/** What the check decides by itself: how the connection is used, and how the body travels. */
const ownHeaders = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding', 'expect'])

/** The host as the script names it, and what the balancer would say; cookies of the script stand before the jar's. */
function completeHeaders(given: readonly [string, string][], url: URL, cookie: string | null): [string, string][] {
  const named = given.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? url.host
  const protocol = url.protocol.slice(0, -1)
  const cookies = given.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value)
  if (cookie !== null) cookies.push(cookie)
  return [
    ['host', named],
    ['connection', 'close'],
    ['x-forwarded-for', '127.0.0.1'],
    ['x-forwarded-proto', protocol],
    ['x-forwarded-host', named],
    ...given.filter(([name]) => !ownHeaders.has(name.toLowerCase()) && name.toLowerCase() !== 'cookie'),
    ...(cookies.length === 0 ? [] : [['cookie', cookies.join('; ')] as [string, string]]),
  ]
}
