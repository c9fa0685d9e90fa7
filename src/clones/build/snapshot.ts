/**
 * A build on disc: a copy of the app's files as they were when it was made, in `builds/<id>` of the data directory.
 * Clones run from the copy, so that one that is restarted in the middle of a rollout, or a week after somebody edited
 * the files in place, is the same code as its siblings.
 *
 * The id is that of the copy: whatever changes while files are copied, the id says what was. Installed packages are not
 * copied; what the copy imports from outside comes from where the original would have found it (snapshot-modules.ts),
 * and the lockfile is looked at again whenever a clone starts.
 */

import { constants } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'

import { FourfoldError } from '../../core/errors.ts'
import { computeBuildId, findLockfile, packageType, shortBuildId } from './build-id.ts'
import { appFolder, listAppFiles, type AppFile } from './files.ts'

/** A build that can be run. Plain data. */
export interface Build {
  readonly id: string
  /** The copied files. */
  readonly folder: string
  /** The folder that they were copied from. */
  readonly origin: string
  /** The app's file in the copy. */
  readonly appFile: string
}

interface Manifest {
  readonly origin: string
  readonly entry: string
  readonly lockfile: string | null
  readonly files: readonly AppFile[]
  readonly madeAt: string
}

export interface MakeBuildOptions {
  readonly appFile: string
  readonly dataDir: string
  /** See {@link computeBuildId}. */
  readonly schema: string
}

/** Copies the app as it is now. One that is there already is not copied again. @throws FF_BUILD_FILES */
export async function makeBuild({ appFile, dataDir, schema }: MakeBuildOptions): Promise<Build> {
  const origin = appFolder(resolve(appFile))
  const builds = buildsFolder(dataDir)
  await mkdir(builds, { recursive: true })
  // Beside its later place, so that one rename makes it whole; a name with a dot is never taken for a build.
  const draft = await mkdtemp(join(builds, '.draft-'))
  try {
    const files = await copyFiles(origin, join(draft, 'app'), resolve(dataDir))
    const entry = relative(origin, resolve(appFile)).split(sep).join('/')
    const lockfile = await findLockfile(origin)
    const id = await computeBuildId({ folder: join(draft, 'app'), files, entry, lockfile, schema })
    const manifest: Manifest = { origin, entry, lockfile, files, madeAt: new Date().toISOString() }
    await writeFile(join(draft, 'package.json'), JSON.stringify({ type: await packageType(dirname(resolve(appFile))) }))
    await writeFile(join(draft, 'build.json'), JSON.stringify(manifest, null, 1))
    await keepWhole(draft, join(builds, id), schema)
    return await readBuild(dataDir, id)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** A build that was made before. @throws FF_BUILD_FILES when it is not there */
export async function readBuild(dataDir: string, id: string): Promise<Build> {
  const place = join(buildsFolder(dataDir), id)
  const { origin, entry } = await readManifest(place)
  const folder = join(place, 'app')
  return { id, folder, origin, appFile: join(folder, entry) }
}

/** The id of what is on disc now, which is another than the build's own where somebody changed something. */
export async function checkBuild({ folder }: Build, schema: string): Promise<string> {
  const { files, entry, lockfile } = await readManifest(dirname(folder))
  return await computeBuildId({ folder, files, entry, lockfile, schema })
}

/** The folders of all builds with what they hold, the newest first. */
export async function listBuilds(dataDir: string): Promise<{ id: string; folder: string; madeAt: string }[]> {
  const builds = buildsFolder(dataDir)
  const names = await readdir(builds).catch(() => [])
  const found = await Promise.all(
    names
      .filter((name) => /^[\da-f]{32}$/.test(name))
      .map(async (id) => {
        const manifest = await readManifest(join(builds, id)).catch(() => null)
        return manifest === null ? [] : [{ id, folder: join(builds, id, 'app'), madeAt: manifest.madeAt }]
      }),
  )
  return found.flat().toSorted((a, b) => (a.madeAt < b.madeAt ? 1 : -1))
}

/** Deletes all but these and the newest ones, and what a killed process was making. Not while one is made. */
export async function pruneBuilds(dataDir: string, keep: number, needed: readonly string[]): Promise<void> {
  const spare = (await listBuilds(dataDir)).filter(({ id }) => !needed.includes(id))
  const surplus = spare.slice(Math.max(0, keep - needed.length)).map(({ id }) => id)
  const drafts = (await readdir(buildsFolder(dataDir)).catch(() => [])).filter((name) => name.startsWith('.draft-'))
  for (const name of [...surplus, ...drafts]) {
    await rm(join(buildsFolder(dataDir), name), { recursive: true, force: true })
  }
}

export function buildsFolder(dataDir: string): string {
  return join(resolve(dataDir), 'builds')
}

async function copyFiles(from: string, to: string, dataDir: string): Promise<AppFile[]> {
  const files = await listAppFiles(from, dataDir)
  await mkdir(to, { recursive: true })
  for (const { path, kind } of files) {
    const target = join(to, path)
    await mkdir(dirname(target), { recursive: true })
    if (kind === 'link') await copyLink(from, path, target)
    // Where the file system can, the copy shares its blocks with the original until one of them is changed.
    else await copyFile(join(from, path), target, constants.COPYFILE_FICLONE)
  }
  return files
}

/** A link that leads out of the folder would lead elsewhere from the copy. */
async function copyLink(from: string, path: string, target: string): Promise<void> {
  const said = await readlink(join(from, path))
  const leads = resolve(dirname(join(from, path)), said)
  await symlink(leads.startsWith(`${from}${sep}`) ? said : leads, target)
}

/** A build of this id that is there is as good, unless somebody changed it: then the new copy takes its place. */
async function keepWhole(draft: string, place: string, schema: string): Promise<void> {
  const id = place.slice(-32)
  const there = await readManifest(place).then(
    ({ files, entry, lockfile }) => computeBuildId({ folder: join(place, 'app'), files, entry, lockfile, schema }),
    () => null,
  )
  if (there === id) return
  await rm(place, { recursive: true, force: true })
  await rename(draft, place)
}

async function readManifest(place: string): Promise<Manifest> {
  try {
    return JSON.parse(await readFile(join(place, 'build.json'), 'utf8')) as Manifest
  } catch (cause) {
    const id = shortBuildId(place.slice(-32))
    throw new FourfoldError('FF_BUILD_FILES', `the files of build ${id} are not in ${place}`, { cause })
  }
}
