/**
 * Plants mistakes: loaded before everything else (`--import`), it replaces a piece of a source file by another while the
 * file is loaded. A piece that is not there is an error, so that no test plants nothing. `FOURFOLD_PLANTS` has them as JSON.
 */

import { registerHooks } from 'node:module'

/** @see plantsIn */
export interface Plant {
  /** The end of the file's path. */
  readonly file: string
  readonly find: string
  readonly put: string
}

const plants = JSON.parse(process.env['FOURFOLD_PLANTS'] ?? '[]') as readonly Plant[]

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const here = plants.filter(({ file }) => url.endsWith(file))
    if (here.length === 0) return loaded
    let source = String(typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array))
    for (const { file, find, put } of here) {
      if (!source.includes(find)) {
        console.error(`nothing to plant in ${file}: ${find}`)
        process.exit(97)
      }
      source = source.replace(find, () => put)
    }
    return { ...loaded, source }
  },
})
