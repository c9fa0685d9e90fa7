/** Plain node:http servers for what stands in front of them: 1 KiB answers, echoes of lengths, in a process of their own. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const body = Buffer.alloc(1_024, 'x')

/** A GET answers 1 KiB; anything with a body answers how long that was, whatever way it came. */
async function startBackend(): Promise<number> {
  const server = createServer((request, response) => {
    if (request.method === 'GET' || request.method === 'HEAD') {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length })
      return response.end(request.method === 'GET' ? body : undefined)
    }
    let length = 0
    request.on('data', (chunk: Buffer) => (length += chunk.length))
    request.on('end', () => {
      const text = String(length)
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': text.length })
      response.end(text)
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const ports = await Promise.all(Array.from({ length: Number(process.argv[2] ?? 2) }, startBackend))
process.once('disconnect', () => process.exit())
process.send?.({ ports })
