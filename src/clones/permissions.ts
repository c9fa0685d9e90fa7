/**
 * Clones keep no user data on their disc: Node's permission model takes write access away from them. It is a seat
 * belt that catches mistakes, not a sandbox: code that means harm can get around it.
 *
 * Node announces every refused (or, with `--permission-audit`, every counted) access on a diagnostics channel; that is
 * where the file's name comes from, also when the app swallowed the error.
 */

import diagnostics from 'node:diagnostics_channel'
import { resolve } from 'node:path'
import { FourfoldError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'

/**
 * What happens when a clone writes to its disc: `refuse` throws, `report` lets it happen and logs the file once,
 * `allow` says nothing.
 */
export type WritePolicy = 'refuse' | 'report' | 'allow'

/**
 * The arguments for Node that bring a policy about. `node:sqlite` is left out: its databases would be files. Where an
 * operator named a folder for compiled code, clones may write there: Node uses none that it may not write to, and a
 * clone that compiles nothing starts in half the time.
 */
export function permissionArguments(policy: WritePolicy): string[] {
  if (policy === 'allow') return []
  const audit = process.allowedNodeEnvironmentFlags.has('--permission-audit')
  if (policy === 'report' && !audit) return []
  return [
    policy === 'refuse' ? '--permission' : '--permission-audit',
    '--allow-fs-read=*',
    ...(process.env['NODE_COMPILE_CACHE'] ? [`--allow-fs-write=${resolve(process.env['NODE_COMPILE_CACHE'])}`] : []),
    // Later releases of Node put the network under a permission of its own; a clone is nothing without it.
    ...(process.allowedNodeEnvironmentFlags.has('--allow-net') ? ['--allow-net'] : []),
    '--no-experimental-sqlite',
  ]
}

/**
 * Node's own refusal as an error that says which file and what to do instead; null if it is something else.
 *
 * @throws nothing; the result is a FF_CLONE_WRITE_REFUSED with the original as its cause
 */
export function explainAccessDenied(error: unknown): FourfoldError | null {
  if (!(error instanceof Error)) return null
  const { code, permission, resource } = error as Error & { code?: unknown; permission?: unknown; resource?: unknown }
  if (code !== 'ERR_ACCESS_DENIED') return null
  const file = typeof resource === 'string' && resource !== '' ? resource : 'a file'
  const right = typeof permission === 'string' ? permission : 'FileSystemWrite'
  const what = right === 'FileSystemWrite' ? `write to ${file}` : `use ${right}`
  return new FourfoldError('FF_CLONE_WRITE_REFUSED', `this clone may not ${what}: ${advice}`, {
    cause: error,
    fields: { file: resource, permission },
  })
}

const advice =
  'clones keep nothing on their own disc, because the next request may reach another clone. Put data of one visitor in ' +
  'the central session, other data and files in the database; `clones.writes: "report"` only logs such writes'

/** Logs every file that the policy's checks name, each once. Call the result to stop. */
export function watchWrites(policy: WritePolicy, log: Logger): () => void {
  const seen = new Set<string>()
  const listen = (message: unknown): void => {
    const { permission, resource } = message as { permission?: string; resource?: string }
    // `process.permission.has()` announces itself with an empty resource.
    if (permission !== 'FileSystemWrite' || resource === undefined || resource === '' || seen.has(resource)) return
    if (seen.size < maxReported) seen.add(resource)
    const outcome = policy === 'refuse' ? 'refused' : 'let through, but would be refused by default'
    log.warn({ code: 'FF_CLONE_WRITE_REFUSED', file: resource }, `write to ${resource} ${outcome}: ${advice}`)
  }
  if (policy !== 'allow') diagnostics.subscribe(channelName, listen)
  return () => void diagnostics.unsubscribe(channelName, listen)
}

const channelName = 'node:permission-model:fs'
/** Past so many different files, names repeat in the log; memory stays bounded. */
const maxReported = 1000
