/** A PostgreSQL that is installed on this machine, for tests of what runs on servers that are not Fourfold's own. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const places = '/usr/lib/postgresql'

/** The folder of the newest version's programs, or null. */
export function findPostgres(): string | null {
  const versions = existsSync(places) ? readdirSync(places).map(Number).filter(Number.isFinite) : []
  const newest = versions.toSorted((a, b) => b - a)[0]
  const programs = join(places, String(newest), 'bin')
  return ['initdb', 'postgres', 'pg_basebackup', 'psql'].every((name) => existsSync(join(programs, name)))
    ? programs
    : null
}

/** The numbers of a user, or null where there is none or this process cannot become it. */
export function accountOf(user: string): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const line = readFileSync('/etc/passwd', 'utf8').match(new RegExp(`^${user}:[^:]*:(\\d+):(\\d+):`, 'm'))
  return line === null ? null : { uid: Number(line[1]), gid: Number(line[2]) }
}
