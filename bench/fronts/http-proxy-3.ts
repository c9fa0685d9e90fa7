/** http-proxy-3 with an agent that keeps connections, as its documentation advises. */

import { Agent, createServer } from 'node:http'

import { createProxyServer } from 'http-proxy-3'

import { serveFront } from './serve-front.ts'

await serveFront(async (ports) => {
  const proxy = createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 64 }) })
  proxy.on('error', () => undefined)
  let turn = 0
  return createServer((request, response) => {
    proxy.web(request, response, { target: `http://127.0.0.1:${ports[turn++ % ports.length]}` })
  })
})
