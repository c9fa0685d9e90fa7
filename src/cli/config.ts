/** `fourfold config`. */

import { loadCommand, type CommonOptions } from './settings.ts'

/** Prints every setting in force with where it came from; secrets are hidden. */
export async function config(file: string, options: CommonOptions): Promise<void> {
  const { inspection } = await loadCommand(file, options)
  const width = Math.max(...inspection.settings.map((setting) => setting.path.length))
  for (const { path, shown, origin } of inspection.settings) console.log(`${path.padEnd(width)}  ${shown}  (${origin})`)
}
