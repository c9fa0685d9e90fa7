/** The packages of a release: `npm ci` in its folder, and how large they are. */

import { spawn } from 'node:child_process'
import { copyFile, lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { FourfoldError } from '../../core/errors.ts'

export interface InstallOptions {
  /** Has package.json and package-lock.json. */
  readonly folder: string
  /** Its `.npmrc` counts: a registry of one's own. */
  readonly project: string
  /** Whether packages may run their lifecycle scripts. */
  readonly scripts: boolean
  readonly deadlineMs: number
  /** Ends npm and all of its children. */
  readonly signal?: AbortSignal | undefined
}

export interface PackageSize {
  readonly name: string
  readonly bytes: number
}

/** What `npm run` and `npx` tell their children about themselves would count as settings of this npm. */
const ofOuterNpm =
  /^npm_(?!config_)|^npm_config_(?:local_prefix|prefix|global|omit|include|production|workspaces?|dry_run)$/i

/** @throws FF_RELEASE_INSTALL with npm's own words */
export async function installPackages({ folder, project, scripts, deadlineMs, signal }: InstallOptions): Promise<void> {
  const settings = join(folder, '.npmrc')
  const copied = await copyFile(join(project, '.npmrc'), settings).then(
    () => true,
    () => false,
  )
  try {
    // Optional packages stay: they are how packages bring binaries for each platform.
    const words = ['ci', '--omit=dev', '--include=optional', '--prefer-offline', '--no-audit', '--no-fund']
    await runNpm([...words, scripts ? '--no-ignore-scripts' : '--ignore-scripts'], folder, deadlineMs, signal)
  } finally {
    // It may hold a token.
    if (copied) await rm(settings, { force: true })
  }
}

async function runNpm(
  words: readonly string[],
  cwd: string,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofOuterNpm.test(name)))
  const child = spawn('npm', [...words], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let said = ''
  const hear = (chunk: Buffer): void => void (said = (said + chunk.toString()).slice(0, 20_000))
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const end = (): void => killGroup(child.pid)
  const timer = setTimeout(end, deadlineMs)
  signal?.addEventListener('abort', end)
  const outcome = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    child.once('close', (code, by) => {
      if (code === 0) resolve(null)
      else resolve(by === null ? `ended with ${code}` : `was ended by ${by}, after ${deadlineMs / 1000} s at most`)
    })
  })
  clearTimeout(timer)
  signal?.removeEventListener('abort', end)
  signal?.throwIfAborted()
  if (outcome === null) return
  // Where its words end its usage begins.
  const why = said.split(/^npm error (?:Clean install a project|A complete log)/m)[0]?.trim() ?? ''
  const message = `npm ${words.join(' ')} ${outcome}${why === '' ? '' : `:\n${why}`}`
  throw new FourfoldError('FF_RELEASE_INSTALL', message)
}

/** A whole group, because npm has children of its own. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** The installed packages with the bytes of their files, without packages inside of them; the largest first. */
export async function measurePackages(folder: string): Promise<PackageSize[]> {
  const sizes: PackageSize[] = []
  const walkModules = async (modules: string): Promise<void> => {
    for (const name of await packagesIn(modules)) {
      const path = join(modules, name)
      sizes.push({ name, bytes: await bytesOf(path) })
      await walkModules(join(path, 'node_modules'))
    }
  }
  await walkModules(join(folder, 'node_modules'))
  return sizes.toSorted((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
}

async function packagesIn(modules: string): Promise<string[]> {
  const names = (await readdir(modules).catch(() => [])).filter((name) => !name.startsWith('.'))
  const found = await Promise.all(
    names.map(async (name) =>
      name.startsWith('@') ? (await readdir(join(modules, name))).map((inner) => `${name}/${inner}`) : [name],
    ),
  )
  return found.flat()
}

async function bytesOf(path: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inner = join(path, entry.name)
    if (!entry.isDirectory()) bytes += (await lstat(inner)).size
    else if (entry.name !== 'node_modules') bytes += await bytesOf(inner)
  }
  return bytes
}
