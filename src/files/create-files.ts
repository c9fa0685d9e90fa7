/**
 * `ff.files` over a driver: what is the same wherever files are kept. Every call of the driver has a deadline.
 */

import { withDeadline } from '../core/deadline.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import { answerFile } from './answer.ts'
import type { FileDriver, FileFacts, FoundFile } from './driver.ts'
import type { Files, FileSource, GetOptions, OpenedFile, PutOptions, StoredFile } from './files.ts'
import { takeIn } from './intake.ts'
import { openStream, refuseBeyond } from './reading.ts'
import { respondFile } from './respond.ts'

export interface CreateFilesOptions {
  readonly driver: FileDriver
  /** The most bytes that `put` takes where it is told nothing else. Default: 8 MiB. */
  readonly maxBytes?: number
  /** The path under which files are served. Default: `/files`. */
  readonly path?: string
  /** How long one call of the driver may take. Default: 30 s; naming a large file may take longer. */
  readonly deadlineMs?: number
  /** How long a source may send nothing. Default: a minute. */
  readonly stallMs?: number
  /** Told that something was put or removed, so that what others left behind is looked for. Default: nobody. */
  readonly changed?: () => void
  readonly log?: Logger
}

const defaultMaxBytes = 8 * 1024 ** 2

export function createFiles(options: CreateFilesOptions): Files {
  const { driver, maxBytes = defaultMaxBytes, path = '/files', deadlineMs = 30_000, stallMs = 60_000 } = options
  const { changed = () => undefined, log = silentLogger } = options
  const url = (name: string): string => `${path}/${name}`
  const describe = ({ name, size, type }: FileFacts): StoredFile => ({ name, size, type, url: url(name) })
  const find = async (name: string): Promise<FoundFile | null> =>
    isName(name) ? await withDeadline((signal) => driver.find(name, signal), deadlineMs, 'a file to be found') : null

  async function put(source: FileSource, putOptions: PutOptions = {}): Promise<StoredFile> {
    try {
      return describe(
        await takeIn(source, {
          driver,
          deadlineMs,
          stallMs,
          log,
          ...putOptions,
          maxBytes: putOptions.maxBytes ?? maxBytes,
        }),
      )
    } finally {
      changed()
    }
  }

  async function get(name: string, { range, signal }: GetOptions = {}): Promise<OpenedFile | null> {
    const found = await find(name)
    if (found === null) return null
    const wanted = range ?? { start: 0, end: found.size }
    refuseBeyond(wanted, found.size)
    signal?.throwIfAborted()
    return { ...describe(found), range: wanted, stream: await openStream(found, wanted, deadlineMs, signal) }
  }

  const files: Files = {
    put,
    get,
    url,
    head: async (name) => {
      const found = await find(name)
      return found === null ? null : describe(found)
    },
    remove: async (name) => {
      if (!isName(name)) return false
      try {
        return await withDeadline((signal) => driver.remove(name, signal), deadlineMs, 'a file to be removed')
      } finally {
        changed()
      }
    },
    answer: (request, name, answerOptions = {}) => answerFile(files, request, name, answerOptions),
    respond: (request, name, answerOptions = {}) => respondFile(files, request, name, answerOptions),
    sweep: (olderThanMs = driver.leftoverAgeMs) =>
      withDeadline((signal) => driver.sweep(olderThanMs, signal), deadlineMs, 'leftovers to be swept'),
  }
  return files
}

function isName(name: string): boolean {
  return typeof name === 'string' && /^[\da-f]{64}$/.test(name)
}
