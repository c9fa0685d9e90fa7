/**
 * Makes a release: an app's compiled files, its production packages, and a manifest with the hash of every file. The same
 * inputs give the same bytes: no path of this machine and no time of day goes in, and everything has one order.
 */

import { chmod, lstat, lutimes, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

import { compiledPath } from './compile.ts'
import { chooseContents, type LeftOut } from './contents.ts'
import { installPackages, measurePackages, type PackageSize } from './install.ts'
import { appPart, hashContents, lockfileName, manifestName, releaseBuildId, type Manifest } from './manifest.ts'
import { productionPackages } from './packages.ts'
import { findProject, type Project } from './project.ts'
import { refused } from './refused.ts'
import { writeApp, writeJson, writePackages, type WrittenApp } from './write-files.ts'
import { FourfoldError } from '../../core/errors.ts'
import { appFolder } from '../build/files.ts'

export interface ReleaseOptions {
  readonly appFile: string
  /** Where it goes; a release that is there is replaced. */
  readonly out: string
  /** Left out where it is inside of the app. */
  readonly dataDir: string
  /** See `computeBuildId`. */
  readonly schema: string
  readonly fourfoldVersion: string
  /** False: package.json and lockfile are written, and nothing is installed. */
  readonly install: boolean
  readonly scripts: boolean
  readonly maxPackageBytes: number
  /** Gives up, and leaves nothing behind. */
  readonly signal?: AbortSignal
  readonly onStep?: (what: string) => void
}

export interface MadeRelease extends WrittenApp {
  readonly folder: string
  readonly manifest: Manifest
  readonly leftOut: readonly LeftOut[]
  /** Packages whose lifecycle scripts did not run. */
  readonly scriptsNotRun: readonly string[]
  /** The largest first; empty where nothing was installed. */
  readonly packages: readonly PackageSize[]
}

const installWithinMs = 600_000
/** The time of every file: 1 January 1980, the earliest that archives of all kinds can say. */
const timeOfAll = new Date(315_532_800_000)

/** @throws FF_RELEASE_REFUSED, FF_RELEASE_INSTALL, FF_RELEASE_SIZE, FF_BUILD_FILES; the signal's reason */
export async function makeRelease(options: ReleaseOptions): Promise<MadeRelease> {
  const out = resolve(options.out)
  await refuseForeign(out)
  await mkdir(dirname(out), { recursive: true })
  // Beside its later place, so that one rename makes it whole; a name with a dot is no part of any app.
  const draft = await mkdtemp(join(dirname(out), '.fourfold-release-'))
  try {
    const made = await fill(draft, out, options)
    await normalise(draft)
    options.signal?.throwIfAborted()
    await rm(out, { recursive: true, force: true })
    await rename(draft, out)
    return { ...made, folder: out }
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

const elsewhere = 'name another folder with --out'

/** Only what fourfold build made is replaced. */
async function refuseForeign(out: string): Promise<void> {
  const there = await readdir(out).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw refused(`${out} is not a folder that can be replaced (${error.code})`)
  })
  if (there.length === 0 || there.includes(manifestName)) return
  throw refused(`${out} holds something that is no release: ${elsewhere}`)
}

async function fill(draft: string, out: string, options: ReleaseOptions): Promise<Omit<MadeRelease, 'folder'>> {
  const { schema, fourfoldVersion, onStep = () => undefined } = options
  const appFile = resolve(options.appFile)
  const folder = appFolder(appFile)
  const project = await findProject(folder)
  if (!relative(out, project.folder).startsWith('..')) throw refused(`${out} holds the project itself: ${elsewhere}`)
  const production = productionPackages(project.packageJson, project.lockfile, fourfoldVersion)
  const contents = await chooseContents(folder, [out, resolve(options.dataDir)])
  onStep('compiling')
  const written = await writeApp(folder, join(draft, appPart), contents, project)
  await writePackages(draft, project, production)
  onStep('installing')
  const packages = await install(draft, project, options)
  const entry = compiledPath(relative(folder, appFile).split(sep).join('/'))
  const archives = production.archives.map(({ to }) => to)
  const manifest: Manifest = {
    format: 1,
    name: project.packageJson.name ?? basename(project.folder),
    buildId: await releaseBuildId(draft, entry, schema),
    entry,
    node: process.version,
    arch: process.arch,
    fourfold: fourfoldVersion,
    files: await hashContents(draft, ['package.json', lockfileName, ...archives]),
    packages: packages === null ? null : { count: packages.length, bytes: sum(packages) },
  }
  await writeJson(join(draft, manifestName), manifest)
  // The draft is hidden among what it is made from.
  const leftOut = contents.leftOut.filter(({ path }) => !path.endsWith(`${basename(draft)}/`))
  const scriptsNotRun = options.scripts ? [] : production.withScripts
  return { manifest, ...written, leftOut, scriptsNotRun, packages: packages ?? [] }
}

async function install(draft: string, project: Project, options: ReleaseOptions): Promise<PackageSize[] | null> {
  if (!options.install) return null
  const { scripts, maxPackageBytes, signal } = options
  await installPackages({ folder: draft, project: project.folder, scripts, deadlineMs: installWithinMs, signal })
  const packages = await measurePackages(draft)
  const bytes = sum(packages)
  if (bytes <= maxPackageBytes) return packages
  const largest = packages.slice(0, 10).map((each) => `  ${megabytes(each.bytes).padStart(9)}  ${each.name}`)
  const message = `the packages take ${megabytes(bytes)}, and ${megabytes(maxPackageBytes)} are allowed (--max-size); the largest:\n${largest.join('\n')}`
  throw new FourfoldError('FF_RELEASE_SIZE', message, { fields: { bytes, maxPackageBytes } })
}

/** Modes and times as nobody's umask and clock made them. */
async function normalise(path: string): Promise<void> {
  const info = await lstat(path)
  if (info.isDirectory()) {
    for (const name of await readdir(path)) await normalise(join(path, name))
    await chmod(path, 0o755)
  } else if (info.isFile()) await chmod(path, (info.mode & 0o111) === 0 ? 0o644 : 0o755)
  await lutimes(path, timeOfAll, timeOfAll)
}

const sum = (packages: readonly PackageSize[]): number => packages.reduce((all, { bytes }) => all + bytes, 0)

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
