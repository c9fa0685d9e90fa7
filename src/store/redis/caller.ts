/** Commands and scripts on a Redis that may be away, and what its errors mean. */

import type { Logger } from '../../core/log.ts'
import { Caller, type CallOptions, type DialOptions, type Judgement } from '../caller.ts'
import { closedError } from '../link.ts'
import type { RedisArgument, RedisConnection } from './connection.ts'
import type { Script } from './scripts.ts'

export interface RedisCallerOptions {
  readonly address: string
  readonly deadlineMs: number
  readonly log: Logger
  readonly dial: (options: DialOptions<RedisConnection>) => Promise<RedisConnection>
}

/** Answers of a server that cannot serve now: it starts, it became a replica, its cluster has no majority. */
const awayAnswers = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|MISCONF)\b/
/** Those of them after which another server should be asked, on a new connection. */
const replacedAnswers = /^(READONLY|MASTERDOWN|CLUSTERDOWN)\b/

export class RedisCaller {
  private readonly caller: Caller<RedisConnection>

  constructor(options: RedisCallerOptions) {
    this.caller = new Caller({ ...options, connections: 1, judge: judgeRedis })
  }

  command<T>(args: readonly RedisArgument[], options: CallOptions): Promise<T> {
    return this.caller.call((connection) => connection.send<T>(args), options)
  }

  /** Runs a script by its digest; by its source where the server does not know it (any more). */
  script<T>(script: Script, key: string, args: readonly RedisArgument[], options: CallOptions): Promise<T> {
    return this.caller.call(async (connection) => {
      try {
        return await connection.send<T>(['EVALSHA', script.sha1, '1', key, ...args])
      } catch (error) {
        if (!isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error
        return connection.send<T>(['EVAL', script.source, '1', key, ...args])
      }
    }, options)
  }

  incarnation(): string | Promise<string> {
    if (this.caller.closed) return Promise.reject(closedError())
    return (
      this.caller.current?.incarnation ??
      this.caller.call(async (connection) => connection.incarnation, { repeatable: true })
    )
  }

  close(): Promise<void> {
    return this.caller.close()
  }
}

export function judgeRedis(error: unknown): Judgement {
  if (!isReply(error)) return 'broken'
  if (replacedAnswers.test(error.message)) return 'replaced'
  return awayAnswers.test(error.message) ? 'away' : 'refused'
}

/** An error that the server sent, as against one of the connection. node-redis has a class for it; an adopted client may bring another copy of that class. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && /^(ErrorReply|SimpleError|BlobError)$/.test(error.constructor.name)
}
