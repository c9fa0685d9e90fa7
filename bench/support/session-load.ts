/** What the sessions benchmark asks of a contender: throughput, parallel writes to one session, and a logout among slow writes. */

import { Pool } from 'undici'

import { cookieName } from '../session-apps/serve-app.ts'

export interface Client {
  /** Asks any clone: one after the other. Answers status, body, and the cookie that was set. */
  ask(path: string, cookie?: string): Promise<Answer>
  /** Asks one clone. */
  askClone(clone: number, path: string, cookie?: string): Promise<Answer>
  close(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly body: any
  readonly cookie: string | null
}

const deadlineMs = 20_000

export function createClient(ports: readonly number[], connections: number): Client {
  const pools = ports.map(
    (port) =>
      new Pool(`http://127.0.0.1:${port}`, {
        connections: Math.ceil(connections / ports.length),
        headersTimeout: deadlineMs,
        bodyTimeout: deadlineMs,
      }),
  )
  let turn = 0
  const askClone: Client['askClone'] = async (clone, path, cookie) => {
    const headers = cookie === undefined ? {} : { cookie }
    const answer = await pools[clone % pools.length]!.request({ method: 'GET', path, headers })
    const set = [answer.headers['set-cookie'] ?? []].flat().find((line) => line.startsWith(`${cookieName}=`))
    const body = await answer.body.json().catch(() => null)
    return { status: answer.statusCode, body, cookie: set?.split(';')[0] ?? null }
  }
  return {
    askClone,
    ask: (path, cookie) => askClone((turn += 1), path, cookie),
    close: async () => void (await Promise.all(pools.map((pool) => pool.close()))),
  }
}

export async function login(client: Client): Promise<string> {
  const { cookie, status } = await client.ask('/login')
  if (cookie === null) throw new Error(`/login answered ${status} without a cookie`)
  return cookie
}

/** A clone may be there before its store is. */
export async function untilReady(client: Client): Promise<void> {
  const end = performance.now() + deadlineMs
  for (let inRow = 0; inRow < 4;) {
    if (performance.now() > end) throw new Error(`no session could be begun for ${deadlineMs} ms`)
    inRow = (await client.ask('/login')).cookie === null ? 0 : inRow + 1
  }
}

/** Four requests of five read the session, one writes a key of it. Answers how many were answered per second. */
export async function measureThroughput(
  client: Client,
  cookies: readonly string[],
  { requests, connections }: { readonly requests: number; readonly connections: number },
): Promise<number> {
  let sent = 0
  const run = async (): Promise<void> => {
    while (sent < requests) {
      const number = (sent += 1)
      const path = number % 5 === 0 ? `/write?key=k${number % 7}` : '/read'
      const { status, body } = await client.ask(path, cookies[number % cookies.length])
      if (status !== 200 || body?.user !== 7) throw new Error(`${path} answered ${status} ${JSON.stringify(body)}`)
    }
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: connections }, run))
  return requests / ((performance.now() - began) / 1000)
}

/** Writes four keys of each session at once, through both clones. Answers how many acknowledged ones are not there, per hundred. */
export async function measureLostWrites(client: Client, sessions: number): Promise<number> {
  const keys = ['a', 'b', 'c', 'd']
  let [acknowledged, lost] = [0, 0]
  for (let session = 0; session < sessions; session += 1) {
    const cookie = await login(client)
    const answers = await Promise.all(keys.map((key) => client.ask(`/write?key=${key}&ms=2`, cookie)))
    const written = keys.filter((_, index) => answers[index]?.status === 200)
    const { body } = await client.ask(`/keys?key=${keys.join(',')}`, cookie)
    acknowledged += written.length
    lost += written.filter((key) => !body.keys.includes(key)).length
  }
  return (100 * lost) / acknowledged
}

/** Logs out while another clone is in the middle of a request that writes. Answers how many sessions live on, per hundred. */
export async function measureRevivedSessions(client: Client, sessions: number): Promise<number> {
  let revived = 0
  for (let session = 0; session < sessions; session += 1) {
    const cookie = await login(client)
    const slow = client.askClone(0, '/write?key=late&ms=40', cookie)
    // Two round trips to the same clone: by then it has read the session.
    for (let trip = 0; trip < 2; trip += 1) await client.askClone(0, '/read', cookie)
    await client.askClone(1, '/logout', cookie)
    await slow
    const { body } = await client.ask('/read', cookie)
    if (body?.user === 7) revived += 1
  }
  return (100 * revived) / sessions
}
