/**
 * Reads `.http` files, as VS Code's REST Client and JetBrains' HTTP client write them: requests between lines of `###`,
 * each with its comments, its line, its headers, an empty line and its body. What asks for more than HTTP (scripts,
 * questions to the user) is refused with its line, not skipped: a script that is half replayed proves nothing.
 */

import { parseText } from './text.ts'
import { scriptError, type Capture, type Script, type ScriptRequest, type Text } from './script.ts'

export interface HttpFileOptions {
  /** As it is shown: `requests.http`. */
  readonly file: string
  /** Variables that win over the file's. */
  readonly variables?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Reads a file that a body names. */
  readonly read?: (path: string) => Uint8Array
}

interface Line {
  readonly text: string
  readonly place: string
}

interface Draft {
  name: string | null
  user: string
  cookies: boolean
  captures: Capture[]
}

/** @throws FF_CHECK_SCRIPT with file and line */
export function parseHttpFile(source: string, options: HttpFileOptions): Script {
  const variables = new Map<string, Text>()
  const requests: ScriptRequest[] = []
  for (const block of splitBlocks(source, options.file)) {
    const request = readBlock(block, variables, options)
    if (request !== null) requests.push(request)
  }
  for (const [name, value] of Object.entries(options.variables ?? {})) variables.set(name, [value])
  if (requests.length === 0) throw scriptError(options.file, 'there is no request in it')
  const script = { requests, variables }
  checkReferences(script)
  return script
}

/** The title of a block, and its lines. */
type Block = readonly [title: string, lines: Line[]]

function splitBlocks(source: string, file: string): Block[] {
  const blocks: Block[] = [['', []]]
  for (const [index, text] of source
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (text.startsWith('###')) blocks.push([text.replace(/^#+\s*/, '').trim(), []])
    else blocks.at(-1)?.[1].push({ text, place: `${file}:${index + 1}` })
  }
  return blocks
}

function readBlock(
  [title, lines]: Block,
  variables: Map<string, Text>,
  options: HttpFileOptions,
): ScriptRequest | null {
  const draft: Draft = { name: null, user: '', cookies: true, captures: [] }
  const parse = (text: string, { place }: Line): Text => parseText(text, place, options.env ?? {})
  let next = 0
  for (; next < lines.length; next += 1) {
    const line = lines[next]!
    const variable = /^\s*@([\w.-]+)\s*=\s*(.*?)\s*$/.exec(line.text)
    if (variable !== null) variables.set(variable[1]!, parse(variable[2]!, line))
    else if (isComment(line.text)) readDirective(line, draft)
    else if (line.text.trim() !== '') break
  }
  const first = lines[next]
  if (first === undefined) return null
  refuseScripts(first)
  const { method, target, used } = readRequestLine(lines.slice(next))
  next += used
  const headers: [string, Text][] = []
  for (; next < lines.length && lines[next]!.text.trim() !== ''; next += 1) {
    const line = lines[next]!
    if (isComment(line.text)) readDirective(line, draft)
    else headers.push(readHeader(line, parse))
  }
  const body = readBody(lines.slice(next + 1), headers, options, parse)
  return { ...draft, place: first.place, title, method, target: parse(target, first), headers, body }
}

const isComment = (text: string): boolean => /^\s*(?:#|\/\/)/.test(text)

function readDirective(line: Line, draft: Draft): void {
  const match = /^\s*(?:#+|\/\/)\s*@([\w-]+)\s*(.*?)\s*$/.exec(line.text)
  if (match === null) return
  const [, directive = '', rest = ''] = match
  if (directive === 'name') draft.name = readName(rest, line)
  else if (directive === 'user') draft.user = rest
  else if (directive === 'no-cookie-jar') draft.cookies = false
  else if (directive === 'capture') draft.captures.push(readCapture(rest, line))
  else if (directive === 'prompt') throw scriptError(line.place, '@prompt asks somebody: use --var name=value instead')
}

function readName(text: string, { place }: Line): string {
  const name = text.replace(/^=\s*/, '')
  if (/^[\w-]+$/.test(name)) return name
  throw scriptError(place, `expected a name of letters, digits, _ and -, got ${JSON.stringify(name)}`)
}

function readCapture(text: string, { place }: Line): Capture {
  const match = /^([\w.-]+)\s*=\s*\/(.+)\/([imsu]*)$/.exec(text)
  if (match === null) throw scriptError(place, 'expected # @capture name = /regular expression/')
  try {
    return { name: match[1]!, pattern: new RegExp(match[2]!, match[3]) }
  } catch (error) {
    throw scriptError(place, `the regular expression cannot be read: ${String(error)}`, error)
  }
}

function refuseScripts({ text, place }: Line): void {
  if (!/^\s*[<>]\s*\{%/.test(text)) return
  throw scriptError(place, 'scripts are not run here: take values with {{name.response…}} or # @capture')
}

/** The method, GET where there is none; the address may go on in indented lines. */
function readRequestLine(lines: readonly Line[]): { method: string; target: string; used: number } {
  const [first] = lines as [Line]
  const match = /^\s*(?:([A-Z]+)\s+)?(\S+(?:\s+\S+)*?)(?:\s+HTTP\/[\d.]+)?\s*$/.exec(first.text)
  const target = match?.[2] ?? ''
  // An address holds a dot, a slash or a variable; a word that does not is a method in the wrong place, or nothing of ours.
  if (match === null || !/[/{]/.test(target)) {
    throw scriptError(first.place, `expected a request such as "GET /path", got ${JSON.stringify(first.text.trim())}`)
  }
  let used = 1
  let whole = target
  while (used < lines.length && /^\s+[?&/]/.test(lines[used]!.text)) {
    whole += lines[used]!.text.trim()
    used += 1
  }
  return { method: match[1] ?? 'GET', target: whole, used }
}

function readHeader(line: Line, parse: (text: string, line: Line) => Text): [string, Text] {
  const match = /^([\w!#$%&'*+.^`|~-]+)\s*:\s*(.*?)\s*$/.exec(line.text)
  if (match !== null) return [match[1]!, parse(match[2]!, line)]
  throw scriptError(
    line.place,
    `expected a header such as "Accept: text/html", got ${JSON.stringify(line.text)}; an empty line comes before the body`,
  )
}

function readBody(
  given: readonly Line[],
  headers: readonly (readonly [string, Text])[],
  options: HttpFileOptions,
  parse: (text: string, line: Line) => Text,
): Text | null {
  // Answers that an editor noted down, and where it should write them.
  const lines = given.filter(({ text }) => !/^\s*(?:<>|>>!?)\s/.test(text))
  while (lines.at(-1)?.text.trim() === '') lines.pop()
  if (lines.length === 0) return null
  const [named] = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? []
  const type = typeof named === 'string' ? named : ''
  const form = type.includes('x-www-form-urlencoded')
  const pieces = lines.flatMap((line, index): Text => {
    refuseScripts(line)
    const joint =
      index === 0 || (form && line.text.startsWith('&')) ? '' : type.startsWith('multipart/') ? '\r\n' : '\n'
    const included = /^<(@?)\s+(\S.*?)\s*$/.exec(line.text)
    if (included === null) return [joint, ...parse(line.text, line)]
    const bytes = readIncluded(included[2]!, line, options)
    return [joint, ...(included[1] === '' ? [bytes] : parse(Buffer.from(bytes).toString(), line))]
  })
  return pieces.filter((piece) => piece !== '')
}

function readIncluded(path: string, { place }: Line, { read }: HttpFileOptions): Uint8Array {
  try {
    if (read === undefined) throw new Error('no files here')
    return read(path)
  } catch (error) {
    throw scriptError(place, `the file ${path} cannot be read: ${(error as Error).message}`, error)
  }
}

/** Every value that is used must come from somewhere, and from before. */
function checkReferences({ requests, variables }: Script): void {
  const known = new Set<string>(variables.keys())
  const answered = new Set<string>()
  for (const { place, target, headers, body, name, captures } of requests) {
    const visit = (text: Text, seen: readonly string[]): void => {
      for (const piece of text) {
        if (typeof piece === 'string' || piece instanceof Uint8Array) continue
        if (piece.kind === 'answer' && !answered.has(piece.request)) {
          throw scriptError(
            place,
            `no request before this one has the name "${piece.request}" (# @name ${piece.request})`,
          )
        }
        if (piece.kind !== 'variable') continue
        if (!known.has(piece.name))
          throw scriptError(place, `there is no variable "${piece.name}": @${piece.name} = …, or --var`)
        if (seen.includes(piece.name)) throw scriptError(place, `the variable "${piece.name}" is made of itself`)
        visit(variables.get(piece.name) ?? [], [...seen, piece.name])
      }
    }
    for (const text of [target, ...headers.map(([, value]) => value), body ?? []]) visit(text, [])
    for (const capture of captures) known.add(capture.name)
    if (name === null) continue
    if (answered.has(name)) throw scriptError(place, `two requests have the name "${name}"`)
    answered.add(name)
  }
}
