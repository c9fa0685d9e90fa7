/**
 * From an app's TypeScript to the JavaScript of its release. Types are taken out by Node's own stripper, the one by which
 * it runs `.ts` files, and white space takes their place: every statement keeps its line and column. What names a
 * module by its `.ts` file then names the `.js` file.
 */

import { stripTypeScriptTypes } from 'node:module'
import { posix } from 'node:path'
import { init, parse } from 'es-module-lexer'

import { FourfoldError } from '../../core/errors.ts'

export interface CompileInputs {
  /** From the app's folder. */
  readonly path: string
  readonly source: string
  /** Whether a file is in the release, by its source's path. */
  readonly has: (path: string) => boolean
  /** Why a file is not, where it is in the app. */
  readonly whyNot: (path: string) => string | undefined
}

export interface Compiled {
  readonly code: string
  /** What could not be decided, in words for people. */
  readonly warnings: readonly string[]
}

const typescript = /\.([cm]?)ts$/
const script = /\.[cm]?[jt]s$/

/** Whether a file is looked into: the others are copied as they are. */
export const isScript = (path: string): boolean => script.test(path)

/** The name of a file in the release: `.ts` becomes `.js`, `.mts` `.mjs`, `.cts` `.cjs`. */
export const compiledPath = (path: string): string => path.replace(typescript, '.$1js')

/** @throws FF_RELEASE_REFUSED for syntax that is more than types, and for imports of what is not in the release */
export async function compile(inputs: CompileInputs): Promise<Compiled> {
  await init()
  const { path } = inputs
  const code = typescript.test(path) ? strip(path, inputs.source) : inputs.source
  const edits = [...findImports(inputs, code), ...findRequires(inputs, code)]
  const rewritten = applyEdits(code, edits)
  return { code: rewritten, warnings: findLeftovers(inputs, rewritten) }
}

function strip(path: string, source: string): string {
  try {
    return withoutExperimentalWarning(() => stripTypeScriptTypes(source, { mode: 'strip' }))
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.trim() : String(cause)
    throw new FourfoldError('FF_RELEASE_REFUSED', `${path} cannot be compiled: ${said}`, { cause, fields: { path } })
  }
}

/** Node says this once for the API, though running `.ts` files, which does the same, is no experiment any more. */
function withoutExperimentalWarning<T>(work: () => T): T {
  const { emitWarning } = process
  process.emitWarning = () => undefined
  try {
    return work()
  } finally {
    process.emitWarning = emitWarning
  }
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

function findImports(inputs: CompileInputs, code: string): Edit[] {
  const edits: Edit[] = []
  for (const found of lex(inputs.path, code)) {
    if (found.type === 'import-meta') {
      const edit = editOfUrl(inputs, code, found.importStart)
      if (edit !== null) edits.push(edit)
      continue
    }
    const { specifier, start, end } = found
    if (specifier === undefined || !isRelative(specifier)) continue
    if (found.type === 'dynamic' && found.glob) continue
    const target = requireShipped(inputs, specifier)
    if (target === null || !typescript.test(specifier)) continue
    // A dynamic import's place includes the quotes.
    const quote = found.type === 'dynamic' ? "'" : ''
    edits.push({ start, end, text: `${quote}${compiledPath(specifier)}${quote}` })
  }
  return edits
}

function lex(path: string, code: string): ReturnType<typeof parse>[0] {
  try {
    return parse(code)[0]
  } catch (cause) {
    // CommonJS that is no module's syntax: it has no imports, and its require calls are found below.
    if (/\.c[jt]s$/.test(path)) return []
    throw new FourfoldError('FF_RELEASE_REFUSED', `${path} cannot be read: ${String(cause)}`, {
      cause,
      fields: { path },
    })
  }
}

/** `new URL('./worker.ts', import.meta.url)`: how a module names a file beside it. */
function editOfUrl(inputs: CompileInputs, code: string, at: number): Edit | null {
  const before = code.slice(Math.max(0, at - 1000), at)
  const match = /new\s+URL\(\s*(['"])(\.{1,2}\/[^'"\n]+\.[cm]?ts)\1\s*,\s*$/.exec(before)
  if (match === null || !code.slice(at).startsWith('import.meta.url')) return null
  return editOfText(inputs, match[2] ?? '', at - match[0].length + match[0].indexOf(match[2] ?? ''))
}

function findRequires(inputs: CompileInputs, code: string): Edit[] {
  const calls = code.matchAll(/\brequire(?:\.resolve)?\(\s*(['"])(\.{1,2}\/[^'"\n]+\.[cm]?ts)\1\s*\)/g)
  return [...calls].flatMap((match) => {
    const specifier = match[2] ?? ''
    return editOfText(inputs, specifier, match.index + match[0].indexOf(specifier)) ?? []
  })
}

function editOfText(inputs: CompileInputs, specifier: string, start: number): Edit | null {
  if (!inputs.has(resolveFrom(inputs.path, specifier))) return null
  return { start, end: start + specifier.length, text: compiledPath(specifier) }
}

/** The file that a relative import names; null where Node would have to find it some other way, as CommonJS does. */
function requireShipped({ path, has, whyNot }: CompileInputs, specifier: string): string | null {
  const target = resolveFrom(path, specifier)
  if (has(target)) return target
  if (target.startsWith('../'))
    throw refused(path, specifier, "is not in the app's folder: move it in, or make it a package")
  const reason = whyNot(target)
  if (reason !== undefined) throw refused(path, specifier, `was left out (${reason})`)
  if (script.test(specifier)) throw refused(path, specifier, 'is not there')
  return null
}

function refused(path: string, specifier: string, what: string): FourfoldError {
  return new FourfoldError('FF_RELEASE_REFUSED', `${path} imports ${specifier}, which ${what}`, {
    fields: { path, specifier },
  })
}

/** Names of `.ts` files in texts: what reads them while the app runs will not find them. */
function findLeftovers({ path, has }: CompileInputs, code: string): string[] {
  const texts = code.matchAll(/(['"`])(\.{1,2}\/[^'"`\n]*\.[cm]?ts)\1/g)
  const named = [...texts]
    .map((match) => match[2] ?? '')
    .filter((text) => text.includes('${') || has(resolveFrom(path, text)))
  return [...new Set(named)].map(
    (text) => `${path} still names ${JSON.stringify(text)}, which ends in .js in the release`,
  )
}

function applyEdits(code: string, edits: readonly Edit[]): string {
  let result = code
  for (const { start, end, text } of edits.toSorted((a, b) => b.start - a.start))
    result = result.slice(0, start) + text + result.slice(end)
  return result
}

const isRelative = (specifier: string): boolean => /^\.\.?\//.test(specifier)

/** The file that a relative specifier names, from the app's folder; `../…` where it leads out. */
function resolveFrom(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier.replace(/[?#].*$/, '')))
}
