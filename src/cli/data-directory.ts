/** A data directory that this user may not write to is said in words, and not by the first part that fails on it. */

import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'

import { FourfoldError } from '../core/errors.ts'

/** @throws FF_CONFIG_INVALID if neither it nor, where it is still to be made, the folder above it can be written to */
export async function requireWritable(dataDir: string): Promise<void> {
  try {
    await access(await nearestThatExists(dataDir), constants.W_OK | constants.X_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message = `this user may not write to ${dataDir} (${code}): choose another directory, --data DIR`
    throw new FourfoldError('FF_CONFIG_INVALID', `the configuration has a mistake:\n  dataDir: ${message}`, {
      cause: error,
      fields: { problems: [{ path: 'dataDir', message }] },
    })
  }
}

async function nearestThatExists(path: string): Promise<string> {
  try {
    await access(path)
    return path
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error
    return nearestThatExists(dirname(path))
  }
}
