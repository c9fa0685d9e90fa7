/**
 * Where the public files of a build and of the builds before it stand. A page that was delivered by one build asks for
 * its scripts when another one serves; they are all in `builds/` of the data directory until they are pruned.
 */

import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'

import { listBuilds } from './snapshot.ts'

export interface AssetFolders {
  /** The folder itself, then the same folder of the other builds, the newest first. */
  list(): Promise<readonly string[]>
}

/** @param folder of public files, of a build's copy or anywhere else: then there are no other builds */
export function createAssetFolders(folder: string): AssetFolders {
  const own = resolve(folder)
  const place = placeInBuild(own)
  if (place === null) return { list: () => Promise.resolve([own]) }
  let known: { readonly changedMs: number; readonly folders: readonly string[] } | null = null
  return {
    list: async () => {
      const changedMs = statSync(place.builds).mtimeMs
      if (known?.changedMs === changedMs) return known.folders
      const all = await listBuilds(dirname(place.builds))
      const folders = [own, ...all.map((build) => join(build.folder, place.inside)).filter((other) => other !== own)]
      known = { changedMs, folders }
      return folders
    },
  }
}

/** `…/builds/<id>/app/<inside>`, where a manifest stands beside `app`. */
function placeInBuild(folder: string): { readonly builds: string; readonly inside: string } | null {
  const parts = folder.split(sep)
  const at = parts.findLastIndex((part, index) => /^[\da-f]{32}$/.test(part) && parts[index + 1] === 'app')
  if (at < 1) return null
  const build = parts.slice(0, at + 1).join(sep)
  if (!existsSync(join(build, 'build.json'))) return null
  return { builds: dirname(build), inside: parts.slice(at + 2).join(sep) }
}
