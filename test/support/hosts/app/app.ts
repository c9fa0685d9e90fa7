/** The app on several hosts: it writes down, in one file of the test, what it carries out. */

import { appendFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { defineApp } from 'fourfold'

import { build } from './build.ts'

const done = process.env['HOSTS_APP_FILE'] ?? ''

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://app')
  const waitMs = Number(url.searchParams.get('ms') ?? 0)
  const answer = (): void => {
    if (request.method !== 'GET') appendFileSync(done, `${request.method} ${url.pathname} ${process.pid}\n`)
    const seen = request.rawHeaders.filter((name) => name.toLowerCase().startsWith('x-fourfold'))
    response.end(JSON.stringify({ pid: process.pid, build, seen }))
  }
  // Only what has come whole is carried out.
  request.resume().once('end', () => setTimeout(answer, waitMs))
}

export default defineApp({
  databases: {},
  clones: { writes: 'allow', grace: '5s' },
  server: async () => serve,
})
