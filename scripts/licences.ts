/** Checks that every package in the lock file may be used: its licence is on the list, or it is named below. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const allowed = new Set([
  'MIT',
  'MIT-0',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'ISC',
  'PostgreSQL',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
])

interface LockEntry {
  readonly license?: string
  readonly link?: boolean
}

interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>
}

/** The packages that may not be used, as `path: licence`. */
export function forbiddenLicences(
  lock: LockFile,
  readLicence: (path: string) => string | undefined,
): readonly string[] {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.link !== true)
    .map(([path, entry]) => ({ path, licence: readLicence(path) ?? entry.license ?? 'none' }))
    .filter(({ licence }) => !isAllowed(licence))
    .map(({ path, licence }) => `${path}: ${licence}`)
}

/** An SPDX expression: one allowed side of an OR is enough, every side of an AND is needed. */
export function isAllowed(expression: string): boolean {
  const plain = expression.replaceAll(/[()]/g, '')
  if (plain.includes(' OR ')) return plain.split(' OR ').some(isAllowed)
  return plain.split(' AND ').every((licence) => allowed.has(licence.trim()))
}

function installedLicence(path: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as { license?: unknown }
    return typeof manifest.license === 'string' ? manifest.license : undefined
  } catch {
    // Optional packages for other platforms are not installed; the lock file names their licence.
    return undefined
  }
}

if (import.meta.main) {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as LockFile
  const found = forbiddenLicences(lock, installedLicence)
  for (const line of found) console.error(line)
  process.exitCode = found.length === 0 ? 0 : 1
}
