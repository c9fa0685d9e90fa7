/** Listening with errors that say what to do. */

import type { Server } from 'node:http'
import { FourfoldError } from '../../core/errors.ts'

/** @throws FF_BALANCER_LISTEN */
export function listen(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const message = `cannot listen on ${host}:${port}: ${explain(error, port)}`
      reject(
        new FourfoldError('FF_BALANCER_LISTEN', message, { cause: error, fields: { host, port, code: error.code } }),
      )
    }
    server.once('error', fail)
    server.listen(port, host, () => {
      server.off('error', fail)
      const address = server.address()
      if (address === null || typeof address === 'string') return reject(new Error('expected a TCP address'))
      resolve({ host: address.address, port: address.port })
    })
  })
}

function explain(error: NodeJS.ErrnoException, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} is taken by another process. Stop that one, or choose another port: --port ${port + 1}, or balancer.port (0 takes any free one)`
    case 'EACCES':
      return `this user may not open port ${port}. Choose a port above 1023: --port 8080, or balancer.port`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'this machine has no such address. Choose balancer.host, such as 127.0.0.1, or 0.0.0.0 for all'
    default:
      return error.message
  }
}
