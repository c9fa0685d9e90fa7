/** The files of a release: the app's, compiled or copied, and those by which npm installs the packages. */

import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { compile, compiledPath, isScript } from './compile.ts'
import { appPart, lockfileName } from './manifest.ts'
import { releaseImports, type Project } from './project.ts'
import { refused } from './refused.ts'

import type { Contents } from './contents.ts'
import type { ProductionPackages } from './packages.ts'

export interface WrittenApp {
  readonly files: { readonly count: number; readonly compiled: number; readonly bytes: number }
  /** What the compiler could not decide, in words for people. */
  readonly warnings: readonly string[]
}

export async function writeApp(
  from: string,
  to: string,
  { files, leftOut }: Contents,
  project: Project,
): Promise<WrittenApp> {
  const known = new Set(files)
  const reasons = new Map(leftOut.map(({ path, because }) => [path, because]))
  const rules = { has: (path: string) => known.has(path), whyNot: (path: string) => reasons.get(path) }
  const warnings: string[] = []
  let [compiled, bytes] = [0, 0]
  for (const path of files) {
    const target = compiledPath(path)
    if (target !== path && known.has(target)) throw refused(`${path} and ${target} are both there: remove one`)
    await mkdir(dirname(join(to, target)), { recursive: true })
    if (path === 'package.json') await writeJson(join(to, path), packageJsonInApp(project))
    else if (isScript(path)) {
      const made = await compile({ path, source: await readFile(join(from, path), 'utf8'), ...rules })
      await writeFile(join(to, target), made.code)
      warnings.push(...made.warnings)
      if (target !== path) compiled++
    } else await copyFile(join(from, path), join(to, target))
    bytes += (await stat(join(to, target))).size
  }
  return { files: { count: files.length, compiled, bytes }, warnings }
}

/** Where the app's folder is the project's: what the code may ask of it, without what is only for development. */
function packageJsonInApp({ packageJson }: Project): object {
  const { devDependencies: _dev, scripts: _scripts, imports, ...rest } = packageJson
  return imports === undefined ? rest : { ...rest, imports: releaseImports(imports, '', '') }
}

export async function writePackages(
  draft: string,
  project: Project,
  { packageJson, lockfile, archives }: ProductionPackages,
): Promise<void> {
  const { imports, ...rest } = packageJson
  const moved =
    imports === undefined ? rest : { ...rest, imports: releaseImports(imports, project.appPath, `${appPart}/`) }
  await writeJson(join(draft, 'package.json'), moved)
  await writeJson(join(draft, lockfileName), lockfile)
  for (const { from, to } of archives) {
    await mkdir(dirname(join(draft, to)), { recursive: true })
    await copyFile(join(project.folder, from), join(draft, to))
  }
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`)
}
