/** The least that can stand in front: undici's dispatch, with no rule of any balancer. */

import { createServer } from 'node:http'
import { Readable } from 'node:stream'

import { Pool } from 'undici'

import { serveFront } from './serve-front.ts'

await serveFront(async (ports) => {
  const pools = ports.map((port) => new Pool(`http://127.0.0.1:${port}`, { connections: 64 }))
  let turn = 0
  return createServer((request, response) => {
    const pool = pools[turn++ % pools.length]
    const { method = 'GET', url: path = '/', headers } = request
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
    const { connection: _, 'transfer-encoding': __, ...kept } = headers
    pool?.stream(
      {
        method: method as 'GET',
        path,
        headers: kept as Record<string, string>,
        body: hasBody ? Readable.from(request) : null,
        opaque: response,
        // undici would close the connection after a HEAD.
        reset: false,
      },
      ({ statusCode, headers: { connection: _, 'keep-alive': __, ...answered } }) => {
        response.writeHead(statusCode, answered as Record<string, string>)
        return response
      },
      (error) => error && response.destroy(error),
    )
  })
})
