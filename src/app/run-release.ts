/** Runs one phase of a build's migrations in a process of its own, after it has looked at the build's settings. */

import { processEntry } from './groups.ts'
import { startProcess } from '../clones/process.ts'
import { errorRegistry, FourfoldError, isFourfoldError, type ErrorCode } from '../core/errors.ts'

import type { ReleaseFacts, ReleaseSettings } from './processes/release.ts'

/** Migrations may fill tables. */
const withinMs = 600_000

/** @throws what the process says is wrong with the build, its settings or its migrations */
export async function runRelease(
  settings: ReleaseSettings,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<ReleaseFacts> {
  // Called off while the build was made: nothing of it is to run.
  signal.throwIfAborted()
  const { phase } = settings
  const process = startProcess({
    name: `release-${phase}`,
    entry: processEntry('release'),
    settings,
    readyMs: withinMs,
  })
  process.listen((message) => void (message.type === 'progress' && say(message.text)))
  const cut = (): void => void process.kill()
  signal.addEventListener('abort', cut)
  try {
    const facts = (await process.ready.catch(rethrowOwn)).facts as ReleaseFacts
    for (const [database, names] of Object.entries(facts.applied)) {
      if (names.length > 0) say(`${database}: applied ${names.join(', ')} (${phase})`)
    }
    return facts
  } finally {
    signal.removeEventListener('abort', cut)
    await process.stop()
  }
}

/** What the process says of itself is the error; that it did not start is only how it is told. */
function rethrowOwn(error: unknown): never {
  if (!isFourfoldError(error)) throw error
  const code = String(error.fields['code'])
  const message = error.message.replace(/^release-\w+ did not start: /, '')
  if (code in errorRegistry) throw new FourfoldError(code as ErrorCode, message, { cause: error })
  throw new Error(message, { cause: error })
}
