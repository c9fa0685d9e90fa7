/** A process that puts a file, without the right to write to the disc. It stops half way, or says what it stored. */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'

import { database, defineApp, open, type AppOptions, type Connections } from 'fourfold'

export interface UploaderSettings {
  readonly connections: Connections
  readonly directory: string
  /** Where the files are kept. Default: in the database. */
  readonly files?: AppOptions['files']
  readonly pieces: number
  readonly finish?: boolean
}

const [{ connections, directory, files = {}, pieces, finish = false }] = (await once(process, 'message')) as [
  UploaderSettings,
]
const app = defineApp({ databases: { main: database({}) } })
const secrets = ['a secret of at least thirty-two characters']
const config = { dataDir: directory, logLevel: 'silent', sessions: { secrets }, files } as const
const ff = await open(app, { connections, config })
const parts = Array.from({ length: pieces }, () => randomBytes(256 * 1024))
const name = createHash('sha256').update(Buffer.concat(parts)).digest('hex')

async function* send(): AsyncGenerator<Buffer> {
  yield* parts
  if (finish) return
  process.send?.({ name })
  await new Promise(() => setInterval(() => undefined, 1000))
}

const stored = await ff.files.put(send(), { maxBytes: 2 ** 30 })
process.send?.({ name, stored })
await new Promise(() => setInterval(() => undefined, 1000))
