/** `fourfold seed`. Works beside a running system and alone. */

import { requireWritable } from './data-directory.ts'
import { createProgressBar } from './progress-bar.ts'
import { loadCommand, type CommonOptions } from './settings.ts'
import { openBeside } from './open-beside.ts'
import { runSeed } from '../app/seeding.ts'
import { FourfoldError } from '../core/errors.ts'

/** Fills the database with what stands on the command line after the app's file. @throws FF_APP_INVALID */
export async function seed(words: readonly string[], options: CommonOptions): Promise<void> {
  const { file, rest } = splitWords(words)
  const context = await loadCommand(file, options)
  if (context.app.definition.seed === undefined) {
    throw new FourfoldError('FF_APP_INVALID', 'The app has no seed: give defineApp a `seed: async (ff, options) => …`')
  }
  await requireWritable(context.config.dataDir)
  const begun = performance.now()
  const bar = createProgressBar()
  const ff = await openBeside(context)
  try {
    await runSeed(context.app, ff, { first: false, arguments: parseWords(rest), progress: bar.update })
  } finally {
    bar.finish()
    await ff.close()
  }
  console.log(`seeded in ${((performance.now() - begun) / 1000).toFixed(1)} s`)
}

function splitWords(words: readonly string[]): { file: string; rest: readonly string[] } {
  const [first] = words
  if (first === undefined || first.startsWith('--')) return { file: 'src/app.ts', rest: words }
  return { file: first, rest: words.slice(1) }
}

/** `--users 2000 --quiet` as `{ users: '2000', quiet: 'true' }`. @throws FF_APP_INVALID */
export function parseWords(words: readonly string[]): Record<string, string> {
  const parsed: Record<string, string> = {}
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    const match = /^--([a-z][a-z\d-]*)(?:=(.*))?$/is.exec(word)
    if (match?.[1] === undefined) {
      throw new FourfoldError('FF_APP_INVALID', `"${word}" is not understood: expected options such as --users 2000`)
    }
    const next = words[index + 1]
    if (match[2] !== undefined) parsed[match[1]] = match[2]
    else if (next !== undefined && !next.startsWith('--')) parsed[match[1]] = words[(index += 1)] ?? ''
    else parsed[match[1]] = 'true'
  }
  return parsed
}
