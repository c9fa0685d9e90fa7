/**
 * The logger: JSON lines, or readable text where a person watches a terminal. Writes are synchronous, so the lines
 * before a crash or an exit are never lost. Fields come first, so every line can be searched by them; a request's
 * lines come from `child({ requestId })`.
 */

import { createRequire } from 'node:module'
import { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { destination, pino, stdSerializers, type DestinationStream } from 'pino'
import type { PrettyOptions } from 'pino-pretty'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A logger that adds these fields to every line. */
  child(fields: object): Logger
}

export interface LoggerOptions {
  /** The least important level that is written. Default: `'info'`. */
  readonly level?: LogLevel
  /** Readable text instead of JSON. Default: whether the output is a terminal. */
  readonly pretty?: boolean
  /** Which process is speaking: `'clone-2'`. */
  readonly name: string
  /** Where lines go: a file descriptor or a stream. Default: 1, the standard output. */
  readonly output?: number | DestinationStream
}

/** Field names that are never written, at the top or one level below. */
const secretFields = ['password', 'secret', 'secrets', 'cookie', 'authorization', 'token']

/** Makes a logger. An error under `error` or `err` is written with its code, message, stack and cause. */
export function createLogger(options: LoggerOptions): Logger {
  const output = options.output ?? 1
  const pretty = options.pretty ?? (typeof output === 'number' && isatty(output))
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      serializers: { error: stdSerializers.err, err: stdSerializers.err },
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '***' },
    },
    pretty ? openPretty(output) : typeof output === 'number' ? openDescriptor(output) : output,
  )
}

/** A logger that writes nothing, for tests and scripts. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
}

/** Lines that cannot be written are kept up to here, in case the disc is only full for a while. */
const maxUnwrittenBytes = 1024 * 1024

/** Lines that nobody takes any more (a closed terminal, a full disc) must not end the process that writes them. */
function openDescriptor(fd: number): DestinationStream {
  const stream = destination({ fd, sync: true, maxLength: maxUnwrittenBytes })
  stream.on('error', () => undefined)
  return stream
}

function openPretty(output: number | DestinationStream): DestinationStream {
  // Loaded only here: a production process that writes JSON never pays for it.
  const build = createRequire(import.meta.url)('pino-pretty') as (options: PrettyOptions) => DestinationStream
  return build({
    destination: typeof output === 'number' ? asWritable(openDescriptor(output)) : (output as Writable),
    sync: true,
    ignore: 'pid,hostname',
    translateTime: 'HH:MM:ss.l',
    errorLikeObjectKeys: ['err', 'error'],
  })
}

function asWritable(stream: DestinationStream): Writable {
  return new Writable({
    write: (line: Buffer, _encoding, done) => {
      stream.write(line.toString())
      done()
    },
  })
}
