/**
 * A small app behind the clone protocol, for tests of the supervisor and the balancer. Its settings say how it
 * misbehaves; its routes answer with what they saw.
 */

import { createHash } from 'node:crypto'
import { openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listenOnLoopback, readSettings, serveClone } from '../../src/clones/child.ts'
import { explainAccessDenied, type WritePolicy } from '../../src/clones/permissions.ts'
import { createLogger, silentLogger } from '../../src/core/log.ts'

const settings = readSettings<{
  writes?: WritePolicy
  failToStart?: string
  exitAtStart?: number
  neverReady?: boolean
  logFile?: string
}>()
if (settings.exitAtStart !== undefined) process.exit(settings.exitAtStart)

type Route = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void

const routes: Record<string, Route> = {
  '/pid': (_request, response) => void response.end(String(process.pid)),
  '/slow': (_request, response, url) =>
    void setTimeout(() => response.end(String(process.pid)), Number(url.searchParams.get('ms') ?? 100)),
  '/exit': () => process.exit(3),
  '/crash': () =>
    void setImmediate(() => {
      throw new Error('a planted crash')
    }),
  '/hang': () => {
    for (;;);
  },
  '/headers': (request, response) => void response.end(JSON.stringify({ url: request.url, raw: request.rawHeaders })),
  '/digest': async (request, response) => {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of request) {
      hash.update(chunk as Buffer)
      bytes += (chunk as Buffer).length
    }
    response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }))
  },
  '/write': async (_request, response, url) => {
    try {
      await writeFile(url.searchParams.get('file') ?? '', 'x')
      response.end('written')
    } catch (error) {
      response.writeHead(500).end(explainAccessDenied(error)?.message ?? String(error))
    }
  },
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://clone')
  const route = routes[url.pathname]
  if (route === undefined) response.writeHead(404).end()
  else void route(request, response, url)
})

const { logFile } = settings
const log =
  logFile === undefined ? silentLogger : createLogger({ name: 'clone', pretty: false, output: openSync(logFile, 'a') })
await serveClone({
  listen: async () => {
    if (settings.failToStart !== undefined) throw new Error(settings.failToStart)
    if (settings.neverReady === true) await new Promise(() => setInterval(() => undefined, 60_000))
    return listenOnLoopback(server)
  },
  writes: settings.writes,
  log,
})
