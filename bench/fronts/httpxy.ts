/** httpxy with an agent that keeps connections. */

import { Agent, createServer } from 'node:http'

import { createProxyServer } from 'httpxy'

import { serveFront } from './serve-front.ts'

await serveFront(async (ports) => {
  const proxy = createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 64 }) })
  let turn = 0
  return createServer((request, response) => {
    const target = `http://127.0.0.1:${ports[turn++ % ports.length]}`
    proxy.web(request, response, { target }).catch((error: unknown) => response.destroy(error as Error))
  })
})
