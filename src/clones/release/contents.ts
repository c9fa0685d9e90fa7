/**
 * Which of an app's files go into a release. What is left out has a reason, and one that may be a secret is told apart,
 * so that the command can always name it.
 */

import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

import { FourfoldError } from '../../core/errors.ts'
import { listAppFiles, type AppFile } from '../build/files.ts'

export interface LeftOut {
  /** From the app's folder; a folder ends in `/`. */
  readonly path: string
  readonly because: string
  /** Whether people should see it without asking. */
  readonly secret: boolean
}

export interface Contents {
  /** In one order everywhere. */
  readonly files: readonly string[]
  readonly leftOut: readonly LeftOut[]
}

type Rule = readonly [pattern: RegExp, because: string]

const rules: readonly Rule[] = [
  [/^(?:test|tests|e2e)\//, 'a test'],
  [/(?:^|\/)__(?:tests|mocks|snapshots)__\//, 'a test'],
  [/\.(?:test|spec)\.[cm]?[jt]sx?$/, 'a test'],
  [/\.d\.[cm]?ts$/, 'types only'],
  [/(?:^|\/)tsconfig[^/]*\.json$|\.tsbuildinfo$/, 'for the compiler'],
  [/^(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock|bun\.lockb?)$/, 'the release has its own'],
  [/^(?:(?:Container|Docker)file[^/]*|(?:docker-)?compose[^/]*\.ya?ml)$|^deploy\//, 'for deploying'],
]

const secretNames =
  /(?:^|\/)(?:[^/]+\.env|[^/]+\.(?:key|p12|pfx|jks|keystore)|id_(?:rsa|dsa|ecdsa|ed25519)|credentials(?:\.json)?)$/i
const privateKey = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----|^PuTTY-User-Key-File-\d/
const hidden = /(?:^|\/)\./
/** What is code may speak of keys without holding one. */
const code = /\.[cm]?[jt]s$/

/**
 * @param without folders inside that are no part of the app: its data directory, the release
 * @throws FF_RELEASE_REFUSED, FF_BUILD_FILES
 */
export async function chooseContents(folder: string, without: readonly string[]): Promise<Contents> {
  const inside = without.map((path) => relative(folder, path).split(sep).join('/')).filter(isBelow)
  const listed = (await listAppFiles(folder, '')).filter(({ path }) => !inside.some((it) => path.startsWith(`${it}/`)))
  const files: string[] = []
  const leftOut: LeftOut[] = []
  for (const file of listed) {
    const reason = await reasonAgainst(folder, file, inside)
    if (reason === null) files.push(file.path)
    else leftOut.push({ path: file.path, ...reason })
  }
  refuseUserData(files)
  const unlisted = await findUnlisted(folder, new Set(listed.map(({ path }) => path)))
  return { files, leftOut: [...leftOut, ...unlisted].toSorted((a, b) => (a.path < b.path ? -1 : 1)) }
}

async function reasonAgainst(
  folder: string,
  file: AppFile,
  without: readonly string[],
): Promise<Omit<LeftOut, 'path'> | null> {
  const rule = rules.find(([pattern]) => pattern.test(file.path))
  if (rule !== undefined) return { because: rule[1], secret: false }
  if (secretNames.test(file.path)) return { because: 'may be a secret, by its name', secret: true }
  if (file.kind === 'link') {
    // What is left out by its own name would otherwise travel under another one.
    const target = await targetOf(folder, file.path)
    const isOut = without.some((it) => target.startsWith(`${it}/`))
    if (isOut || hidden.test(target) || secretNames.test(target))
      return { because: `leads to ${target}, which is left out`, secret: true }
  }
  if (code.test(file.path)) return null
  if (privateKey.test(await readFile(join(folder, file.path), 'latin1')))
    return { because: 'contains a private key', secret: true }
  return null
}

/** A link to a file of the app becomes a copy of it. Any other would lead elsewhere from another server. */
async function targetOf(folder: string, path: string): Promise<string> {
  const leads = await realpath(join(folder, path)).catch(() => null)
  const target =
    leads === null
      ? ''
      : relative(await realpath(folder), leads)
          .split(sep)
          .join('/')
  if (leads !== null && isBelow(target) && (await stat(leads)).isFile()) return target
  const message = `${path} is a symbolic link that does not lead to a file of the app: put the file there, or remove it`
  throw new FourfoldError('FF_RELEASE_REFUSED', message, { fields: { path } })
}

/** What lies in data directories, whatever they are called: in a database's own, and in Fourfold's. */
const userData = /(?:^|\/)(?:(PG_VERSION)|session-secrets|owner\.sqlite)$/

/** User data must not travel with the code, and nor must what signs its cookies. */
function refuseUserData(files: readonly string[]): void {
  const found = files.map((path) => userData.exec(path)).find((match) => match !== null)
  if (found === undefined) return
  const whose = found[1] === undefined ? 'a data directory' : 'a database'
  const message = `${found.input} belongs to ${whose}: name the data directory with --data, or move it out of the app's folder`
  throw new FourfoldError('FF_RELEASE_REFUSED', message, { fields: { path: found.input } })
}

/** What {@link listAppFiles} passed over, a whole folder at a time. */
async function findUnlisted(folder: string, listed: ReadonlySet<string>): Promise<LeftOut[]> {
  const folders = new Set([...listed].flatMap((path) => ancestors(path)))
  const found: LeftOut[] = []
  const walk = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = `${below}${entry.name}`
      if (entry.isDirectory()) {
        if (folders.has(path)) await walk(`${path}/`)
        else found.push({ path: `${path}/`, because: 'no part of the app', secret: false })
      } else if (!listed.has(path)) {
        const secret = entry.name.startsWith('.env') || entry.name === '.npmrc'
        found.push({ path, because: secret ? 'may hold secrets' : 'hidden, or a log', secret })
      }
    }
  }
  await walk('')
  return found
}

function ancestors(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

const isBelow = (path: string): boolean => path !== '' && path !== '..' && !path.startsWith('../')
