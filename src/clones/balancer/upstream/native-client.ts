/**
 * Requests to one clone over connections of the balancer's own. The connection that was used last is used first, so
 * that those that are not needed grow old and are closed before the clone does it.
 */

import type { ListenAddress } from '../../protocol.ts'
import type { UpstreamCall, UpstreamClient, UpstreamHandler, UpstreamRequest } from './client.ts'
import { NativeCall, NativeConnection, type ConnectionOptions } from './native-connection.ts'
import { writeRequestHead } from './request-writer.ts'
import type { CreateResponseParser } from './response-parser.ts'

export interface NativeClientOptions {
  readonly createParser: CreateResponseParser
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}

/** What is read is parsed before anything else is read: all connections can read into the same memory. */
const readBytes = 64 * 1024

export function createNativeClient(address: ListenAddress, options: NativeClientOptions): UpstreamClient {
  const all = new Set<NativeConnection>()
  const idle: NativeConnection[] = []
  let closed = false
  /** Deadlines are looked at from time to time, which is cheaper than a timer for each request. */
  const checkMs = Math.max(10, Math.min(500, options.connectTimeoutMs / 4, options.requestTimeoutMs / 4))
  let timer: NodeJS.Timeout | undefined
  const check = (): void => {
    const now = performance.now()
    for (const connection of all) connection.check(now)
  }

  const settings: ConnectionOptions = {
    ...options,
    address,
    readBuffer: sharedBuffer(),
    onFree: (connection) => void idle.push(connection),
    onClose: (connection) => {
      all.delete(connection)
      const place = idle.indexOf(connection)
      if (place !== -1) idle.splice(place, 1)
      if (all.size > 0) return
      clearInterval(timer)
      timer = undefined
    },
  }

  const connection = (): NativeConnection => {
    const now = performance.now()
    for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) if (kept.isFresh(now)) return kept
    const opened = new NativeConnection(settings)
    all.add(opened)
    timer ??= setInterval(check, checkMs)
    return opened
  }

  const send = (request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall => {
    const call = new NativeCall(request, writeRequestHead(request), handler)
    if (closed) throw new Error('the clone has left')
    call.connection = connection()
    call.connection.send(call)
    return call
  }

  return {
    send: (request, handler) => {
      try {
        return send(request, handler)
      } catch (error) {
        queueMicrotask(() => handler.onError(error as Error))
        return failedCall
      }
    },
    close: async () => {
      closed = true
      for (const one of all) one.destroy(new Error('the clone has left'))
    },
  }
}

const failedCall: UpstreamCall = {
  sent: false,
  pause: () => undefined,
  resume: () => undefined,
  abort: () => undefined,
}

/** One for all, except where the system fills memory before it says that it will. */
function sharedBuffer(): Buffer | (() => Buffer) {
  if (process.platform === 'win32') return () => Buffer.allocUnsafeSlow(readBytes)
  return Buffer.allocUnsafeSlow(readBytes)
}
