/** The app that the rollout harness copies, changes in place and rolls out: its answers say which build wrote them. */

import { setTimeout as delay } from 'node:timers/promises'

import { database, defineApp, type Fourfold } from 'fourfold'
import { withFourfold, type FourfoldRequest } from 'fourfold/node'

import { build, failing, starts } from './build.ts'

import type { RequestListener, ServerResponse } from 'node:http'

interface Schema {
  posts: { id: string; build: number }
}
type Schemas = { main: Schema }

const longestMs = 25

export default defineApp({
  databases: { main: database<Schema>({ migrations: './migrations', replicas: 0 }) },
  clones: { min: 2, max: 5 },
  // A busy machine is no fault of a rollout's.
  store: { deadline: '5s' },
  rollout: { check: ['/read'] },
  server: (ff): RequestListener => {
    if (!starts) throw new Error('this build cannot start')
    return withFourfold(ff as Fourfold<Schemas>, answer)
  },
})

async function answer(request: FourfoldRequest<Schemas>, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url, 'http://app')
  response.setHeader('content-type', 'application/json')
  if (request.method === 'POST') {
    const id = searchParams.get('id') ?? ''
    await request.ff.databases.main.insertInto('posts').values({ id, build }).execute()
    if (searchParams.has('session')) request.session.set('last', id)
    // It is done, and nobody knows yet: a request that is sent again now is done twice.
    await delay(Math.random() * longestMs)
    return void response.end(JSON.stringify({ build, id }))
  }
  if (pathname === '/posts') {
    const rows = await request.ff.databases.main.selectFrom('posts').select('id').execute()
    return void response.end(JSON.stringify(rows.map(({ id }) => id)))
  }
  if (failing && request.headers['user-agent'] !== 'fourfold-check') response.statusCode = 500
  await delay(Math.random() * longestMs)
  response.end(JSON.stringify({ build }))
}
