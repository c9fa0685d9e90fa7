/**
 * An empty primary's data. initdb is most of what a cluster's first start costs, and answers the same every time: where
 * `PG_EMPTY_CLUSTERS` names a folder, as the runner of tests does for one run, what it made is kept there and copied.
 *
 * Copies share PostgreSQL's number of the system. Nothing relies on it alone: an epoch has a random part.
 */

import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { access, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { FourfoldError } from '../../../core/errors.ts'
import { type Account, giveTo } from './account.ts'
import { copyData } from './copy.ts'
import { type ClusterSettings, initdbArguments } from './settings.ts'

const initdbDeadlineMs = 60_000

export interface EmptyClusterOptions {
  readonly initdb: string
  readonly settings: ClusterSettings
  readonly account: Account | null
}

/** Fills a directory that does not exist yet. */
export async function makeEmptyCluster(data: string, options: EmptyClusterOptions): Promise<void> {
  const kept = process.env['PG_EMPTY_CLUSTERS']
  if (!kept) return await initialise(data, options)
  const template = join(kept, nameOf(options))
  if (!(await exists(template))) await keep(template, options)
  await copyData(template, data, { account: options.account, withLog: true })
  // A copy for a standby leaves this one out.
  const altered = join(data, 'postgresql.auto.conf')
  await writeFile(altered, '', { mode: 0o600 })
  await giveTo(options.account, altered)
}

/** Under a name of its own first: several processes may do this at once, and one of them wins. */
async function keep(template: string, options: EmptyClusterOptions): Promise<void> {
  const own = `${template}.${randomUUID()}`
  await initialise(own, options)
  await rename(own, template).catch(async (error: unknown) => {
    if (!(await exists(template))) throw error
    await rm(own, { recursive: true, force: true })
  })
}

async function initialise(data: string, { initdb, settings, account }: EmptyClusterOptions): Promise<void> {
  // initdb runs as the account, which may not write in the directory above: it is given an empty one.
  await promisify(execFile)('mkdir', ['-m', '700', data])
  await giveTo(account, data)
  try {
    await promisify(execFile)(initdb, initdbArguments(data, settings), {
      // So that it can be found by where it works, as servers can.
      cwd: data,
      timeout: initdbDeadlineMs,
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
      ...account,
    })
  } catch (cause) {
    const said =
      typeof cause === 'object' && cause !== null && 'stderr' in cause ? String(cause.stderr).trim() : String(cause)
    throw new FourfoldError('FF_ENGINE_START', `initdb could not make ${data}: ${said}`, { cause })
  }
}

function nameOf({ settings, account }: EmptyClusterOptions): string {
  const what = JSON.stringify([initdbArguments('', settings), account])
  return createHash('sha256').update(what).digest('hex').slice(0, 16)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
