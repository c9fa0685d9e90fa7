/**
 * What a release says about itself, `fourfold-release.json`, and the proof that it still is that. Whoever starts from a
 * release checks it first: a server on which somebody edited a file is not the same code as its siblings.
 */

import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { FourfoldError } from '../../core/errors.ts'
import { computeBuildId, shortBuildId } from '../build/build-id.ts'
import { hashFile, listAppFiles } from '../build/files.ts'

export interface Manifest {
  readonly format: 1
  readonly name: string
  readonly buildId: string
  /** The app's file, from `app/`. */
  readonly entry: string
  /** `v24.21.0` */
  readonly node: string
  readonly arch: string
  /** The version of Fourfold. */
  readonly fourfold: string
  /** SHA-256 by path, all but this file and the installed packages. */
  readonly files: Readonly<Record<string, string>>
  /** Null: not installed with the build. */
  readonly packages: { readonly count: number; readonly bytes: number } | null
}

export interface Release {
  readonly folder: string
  readonly manifest: Manifest
}

export const manifestName = 'fourfold-release.json'
/** The app's files, apart from the release's own. */
export const appPart = 'app'
export const lockfileName = 'package-lock.json'
const isModules = /(?:^|[/\\])node_modules$/

/** The release around a folder, or null. @throws FF_RELEASE_CHANGED where the manifest cannot be read */
export async function findRelease(from: string): Promise<Release | null> {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const manifest = await readManifest(folder)
    if (manifest !== null) return { folder, manifest }
    if (dirname(folder) === folder) return null
  }
}

export async function readManifest(folder: string): Promise<Manifest | null> {
  let text: string
  try {
    text = await readFile(join(folder, manifestName), 'utf8')
  } catch {
    return null
  }
  const manifest = parseManifest(text)
  if (manifest === null) throw changed(`${join(folder, manifestName)} is not what fourfold build writes`)
  return manifest
}

function parseManifest(text: string): Manifest | null {
  try {
    const manifest = JSON.parse(text) as Manifest
    return manifest.format === 1 && typeof manifest.files === 'object' ? manifest : null
  } catch {
    return null
  }
}

/** The app's file of a release. */
export const appFileOf = ({ folder, manifest }: Release): string => join(folder, appPart, manifest.entry)

/**
 * That every file is the one that was built, that `app/` has no other, and that Node and Fourfold are those of the build.
 *
 * @param schema see {@link computeBuildId}
 * @throws FF_RELEASE_CHANGED that names the first difference
 */
export async function verifyRelease(release: Release, schema: string): Promise<void> {
  const { folder, manifest } = release
  const [is, was] = [`${process.version} on ${process.arch}`, `${manifest.node} on ${manifest.arch}`]
  if (is !== was) throw changed(`the release in ${folder} was built for Node ${was}, and this is ${is}`)
  const found = await hashContents(folder, Object.keys(manifest.files))
  const paths = new Set([...Object.keys(manifest.files), ...Object.keys(found)])
  for (const path of [...paths].toSorted()) {
    const [now, then] = [found[path], manifest.files[path]]
    if (now === then) continue
    const what = then === undefined ? 'was added' : now === undefined ? 'is missing' : 'was changed'
    throw changed(`${join(folder, path)} ${what} after the release was built: make a new one with fourfold build`)
  }
  // No build makes one, and what lies in it would stand in for the packages that were installed.
  const strange = (await readdir(join(folder, appPart), { recursive: true })).find((path) => isModules.test(path))
  if (strange !== undefined) throw changed(`${join(folder, appPart, strange)} was added after the release was built`)
  const id = await releaseBuildId(folder, manifest.entry, schema)
  if (id === manifest.buildId) return
  const ids = `${shortBuildId(manifest.buildId)}, and with these packages it is ${shortBuildId(id)}`
  throw changed(`the release in ${folder} was built as ${ids}: its Fourfold is not ${manifest.fourfold}`)
}

/** The SHA-256 of these files and of all below `app/`; those that are missing are left out. */
export async function hashContents(folder: string, listed: readonly string[]): Promise<Record<string, string>> {
  const below = await listAppFiles(join(folder, appPart), '').catch(() => [])
  // A link is what it says: what it leads to may change after it was looked at.
  const kinds = new Map(below.map(({ path, kind }) => [`${appPart}/${path}`, kind]))
  const paths = new Set([...listed, ...kinds.keys()])
  const hashes: Record<string, string> = {}
  for (const path of [...paths].toSorted()) {
    const hash = await hashFile(folder, { path, kind: kinds.get(path) ?? 'file' })
    if (hash !== null) hashes[path] = hash
  }
  return hashes
}

/** As the clones that run from it find it by themselves. */
export async function releaseBuildId(folder: string, entry: string, schema: string): Promise<string> {
  const files = await listAppFiles(join(folder, appPart), '')
  return await computeBuildId({
    folder: join(folder, appPart),
    files,
    entry,
    lockfile: join(folder, lockfileName),
    schema,
  })
}

function changed(message: string): FourfoldError {
  return new FourfoldError('FF_RELEASE_CHANGED', message)
}
