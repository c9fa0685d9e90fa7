/**
 * A reader of HTTP/1.1 requests that forgives nothing, independent of Node's parser and of the balancer: what it
 * refuses, some server somewhere would read differently. It stands behind the balancer in tests, so that everything
 * the balancer writes is held against the grammar of RFC 9112 byte by byte.
 */

export interface StrictRequest {
  readonly method: string
  readonly target: string
  /** Names as they were written. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly trailers: readonly (readonly [name: string, value: string])[]
  readonly framing: 'none' | 'length' | 'chunked'
  /** Its bytes, as latin1. */
  readonly raw: string
}

/** Thrown for bytes that no strict server would take. */
export class StrictHttpError extends Error {
  override readonly name = 'StrictHttpError'
}

type Fields = [name: string, value: string][]

const requestLine = /^([!#$%&'*+.^_`|~\w-]+) (\S+) HTTP\/1\.1$/
const fieldLine = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/s
/** Visible characters, blanks and bytes beyond ASCII: no controls. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
const originForm = /^\/[\x21-\x22\x24-\x7e\x80-\xff]*$/
const chunkLine = /^[\da-fA-F]{1,12}$/
const framingNames = new Set(['content-length', 'transfer-encoding', 'host'])

/**
 * Reads the request at the beginning of `bytes`, or null if it is not whole yet.
 *
 * @throws StrictHttpError
 */
export function readStrictRequest(bytes: string): StrictRequest | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) {
    checkBeginning(bytes)
    return null
  }
  const [first = '', ...lines] = bytes.slice(0, headEnd).split('\r\n')
  const [, method, target] = requestLine.exec(first) ?? fail(`the request line ${JSON.stringify(first)}`)
  if (method === undefined || target === undefined || !originForm.test(target)) fail(`the target ${target}`)
  const headers = readFields(lines)
  const bodyAt = headEnd + 4
  const framed = readBody(bytes, bodyAt, headers)
  if (framed === null) return null
  const { end, ...rest } = framed
  return { method, target, headers, ...rest, raw: bytes.slice(0, end) }
}

/** All values of a header. */
export function valuesOf(headers: StrictRequest['headers'], name: string): readonly string[] {
  return headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value)
}

interface Framed {
  readonly framing: StrictRequest['framing']
  readonly body: string
  readonly trailers: Fields
  readonly end: number
}

function readBody(bytes: string, at: number, headers: Fields): Framed | null {
  const lengths = valuesOf(headers, 'content-length')
  const codings = valuesOf(headers, 'transfer-encoding')
  if (valuesOf(headers, 'host').length !== 1) fail('not exactly one host')
  if (lengths.length + codings.length > 1) fail('more than one header of length')
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') fail(`the coding ${codings[0]}`)
    return readChunks(bytes, at)
  }
  if (lengths.length === 0) return { framing: 'none', body: '', trailers: [], end: at }
  if (!/^(?:0|[1-9]\d{0,14})$/.test(lengths[0] ?? '')) fail(`the length ${lengths[0]}`)
  const end = at + Number(lengths[0])
  return bytes.length < end ? null : { framing: 'length', body: bytes.slice(at, end), trailers: [], end }
}

function readChunks(bytes: string, from: number): Framed | null {
  let at = from
  let body = ''
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const line = lineEnd === -1 ? bytes.slice(at).replace(/\r$/, '') : bytes.slice(at, lineEnd)
    if (lineEnd === -1 && line === '') return null
    if (!chunkLine.test(line)) fail(`the chunk ${JSON.stringify(line.slice(0, 40))}`)
    if (lineEnd === -1) return null
    const size = Number.parseInt(line, 16)
    if (size === 0) return readTrailers(bytes, lineEnd + 2, body)
    at = lineEnd + 2 + size
    if (bytes.length < at + 2) return null
    body += bytes.slice(lineEnd + 2, at)
    if (bytes.slice(at, at + 2) !== '\r\n') fail('a chunk is longer than it says')
    at += 2
  }
}

function readTrailers(bytes: string, at: number, body: string): Framed | null {
  if (bytes.startsWith('\r\n', at)) return { framing: 'chunked', body, trailers: [], end: at + 2 }
  const end = bytes.indexOf('\r\n\r\n', at)
  if (end === -1) return null
  const trailers = readFields(bytes.slice(at, end).split('\r\n'))
  const framing = trailers.find(([name]) => framingNames.has(name.toLowerCase()))
  if (framing !== undefined) fail(`the trailer ${framing[0]}`)
  return { framing: 'chunked', body, trailers, end: end + 4 }
}

function readFields(lines: readonly string[]): Fields {
  return lines.map((line) => {
    const [, name, value] = fieldLine.exec(line) ?? fail(`the header ${JSON.stringify(line)}`)
    if (name === undefined || value === undefined || !fieldValue.test(value)) fail(`the value of ${name}`)
    return [name, value]
  })
}

/** What cannot become a request is said at once, and not waited for. */
function checkBeginning(bytes: string): void {
  const [first = ''] = bytes.split('\r\n', 1)
  if (first.includes('\n') || first.slice(0, -1).includes('\r') || first.includes('\0')) fail('a control in the head')
  if (bytes.includes('\r\n') && !requestLine.test(first)) fail(`the request line ${JSON.stringify(first)}`)
}

function fail(what: string): never {
  throw new StrictHttpError(what)
}
