/** A command that is given a release: which file is the app, and whether the release is what was built. */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import { configSchemaText } from './config.ts'
import { appFileOf, findRelease, readManifest, verifyRelease, type Release } from '../clones/release/manifest.ts'
import { FourfoldError } from '../core/errors.ts'

export interface Entered {
  readonly appFile: string
  /** Null where the app runs from its source. */
  readonly release: Release | null
}

/**
 * The app's file: the one named, or, in the folder of a release, the release's own. What is part of a release is checked
 * before anything of it is loaded.
 *
 * @throws FF_RELEASE_CHANGED
 */
export async function enterRelease(file: string, directory: string = process.cwd()): Promise<Entered> {
  const path = resolve(directory, file)
  const here = existsSync(path) ? null : await readManifest(directory)
  const release = here === null ? await findRelease(resolve(path, '..')) : { folder: directory, manifest: here }
  if (release === null) return { appFile: path, release }
  const appFile = appFileOf(release)
  if (here === null && path !== appFile) {
    const message = `${path} is in a release of ${appFile}: a release is of one app`
    throw new FourfoldError('FF_RELEASE_CHANGED', message)
  }
  await verifyRelease(release, configSchemaText)
  return { appFile, release }
}
