/**
 * Secrets for a laptop: made once, kept in the data directory, so that sessions live through restarts without any
 * setting. The supervisor makes them and hands them to the clones by FOURFOLD_SECRETS; a clone has no disc to write
 * to. Production never makes its own: two hosts with two secrets would end each other's sessions.
 */

import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FourfoldError } from '../core/errors.ts'
import { missingSecrets } from './signer.ts'

/**
 * The secrets of this data directory, made if there are none. Two processes that start at once get the same.
 *
 * @throws FF_SESSION_SECRETS_MISSING when NODE_ENV is `production`, or when the file is there and empty.
 */
export async function developmentSecrets(
  dataDir: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string[]> {
  if (env['NODE_ENV'] === 'production') throw missingSecrets()
  const path = join(dataDir, 'session-secrets')
  const kept = await readSecrets(path)
  if (kept.length > 0) return kept
  await mkdir(dataDir, { recursive: true })
  await writeOnce(path, `${randomBytes(32).toString('base64url')}\n`)
  const made = await readSecrets(path)
  if (made.length > 0) return made
  throw new FourfoldError(
    'FF_SESSION_SECRETS_MISSING',
    `${path} holds no secret: delete it, and a new one is made (whoever is logged in must log in again)`,
  )
}

async function readSecrets(path: string): Promise<string[]> {
  try {
    const text = await readFile(path, 'utf8')
    return text.split('\n').filter((line) => line !== '')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** A file appears whole and only once: whoever links first wins, a crash leaves at most a draft behind. */
async function writeOnce(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    // On the disc before it has its name: a loss of power must not leave an empty file.
    await writeFile(draft, text, { mode: 0o600, flag: 'wx', flush: true })
    await link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft, { force: true })
  }
}
