/**
 * A project as a user has it, for the tests of releases: Fourfold as the packed archive that npm would bring, a lockfile
 * with what production needs, and apps. The lockfile is cut out of this repository's, so that nothing is looked up.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, link, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

export const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)
const unpackWithinMs = 60_000

interface Locked {
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

type Packages = Record<string, Locked>

/** Builds the package from its source, apart from everybody's `dist`, and packs it. Answers the archive's name in `into`. */
export async function packFourfold(into: string): Promise<string> {
  const from = join(into, 'fourfold')
  await mkdir(from, { recursive: true })
  await run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', join(root, 'tsconfig.build.json'), '--outDir', join(from, 'dist')],
    // Types are what `npm run check` is for.
    ...['--incremental', 'false', '--tsBuildInfoFile', 'null', '--noCheck', '--declaration', 'false'],
    ...['--isolatedDeclarations', 'false'],
  ])
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs', 'src'])
    await cp(join(root, name), join(from, name), { recursive: true })
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--silent', from], { cwd: into })
  return stdout.trim()
}

/** Writes package.json and package-lock.json for these packages and Fourfold's archive, which is in the same folder. */
export async function writeProject(project: string, archive: string, names: readonly string[]): Promise<void> {
  const { version, dependencies, optionalDependencies, bin } = await readJson(join(root, 'package.json'))
  const { packages: all } = (await readJson(join(root, 'package-lock.json'))) as unknown as { packages: Packages }
  const own = Object.fromEntries(names.map((name) => [name, `^${all[`node_modules/${name}`]?.version}`]))
  const specifiers = { fourfold: `file:${archive}`, ...own }
  const hash = createHash('sha512').update(await readFile(join(project, archive)))
  const fourfold = {
    ...{ version, resolved: `file:${archive}`, integrity: `sha512-${hash.digest('base64')}` },
    ...{ dependencies, optionalDependencies, bin },
  } as Locked
  const packages: Packages = { 'node_modules/fourfold': fourfold }
  for (const name of names) addWithNeeds(name, '', all, packages)
  for (const name of namesIn(fourfold)) addWithNeeds(name, '', all, packages)
  const about = { name: 'shop', version: '1.0.0' }
  const manifest = { ...about, private: true, type: 'module', dependencies: specifiers }
  const lock = { ...about, lockfileVersion: 3, requires: true }
  await writeFile(join(project, 'package.json'), JSON.stringify(manifest))
  const sorted = Object.fromEntries(Object.entries(packages).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  const whole = { ...lock, packages: { '': { ...about, dependencies: specifiers }, ...sorted } }
  await writeFile(join(project, 'package-lock.json'), JSON.stringify(whole, null, 2))
}

/**
 * What `npm ci` leaves on a machine for development, without its work: Fourfold out of its archive, and beside it the
 * packages of this repository, of which the project's lockfile was cut; not the embedded servers, which no test here
 * starts from there. A release is installed by npm itself.
 */
export async function installProject(project: string, archive: string): Promise<void> {
  const { packages } = (await readJson(join(project, 'package-lock.json'))) as unknown as { packages: Packages }
  const fourfold = 'node_modules/fourfold'
  for (const [place, { optional }] of Object.entries(packages)) {
    if (optional === true || place === fourfold || !/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(place)) continue
    await mkdir(dirname(join(project, place)), { recursive: true })
    await symlink(join(root, place), join(project, place))
  }
  await mkdir(join(project, fourfold))
  await run('tar', ['-xzf', archive, '-C', fourfold, '--strip-components=1'], { cwd: project, timeout: unpackWithinMs })
}

/** A folder with the same files, which take no room of their own: for what nobody writes to. */
export async function linkFolder(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, place] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await linkFolder(source, place)
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), place)
    else await link(source, place)
  }
}

/** A package of the repository's lockfile and all that it needs, found as Node finds them. */
function addWithNeeds(name: string, from: string, all: Packages, into: Packages): void {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const place = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    const found = all[place]
    if (found !== undefined) {
      if (into[place] !== undefined) return
      const { dev: _dev, devOptional: _devOptional, ...kept } = found
      into[place] = kept as Locked
      for (const need of namesIn(found)) addWithNeeds(need, place, all, into)
      return
    }
    if (folder === '') return
  }
}

const namesIn = ({ dependencies, optionalDependencies }: Locked): string[] =>
  Object.keys({ ...dependencies, ...optionalDependencies })

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
}
