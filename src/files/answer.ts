/**
 * How a file is answered: the conditions and ranges of RFC 9110, and headers that keep what others uploaded from acting
 * in our name. A file is its hash, so its ETag is strong and says all; there is no Last-Modified.
 */

import { Readable } from 'node:stream'
import type { AnswerOptions, FileAnswer, FileRequest, Files, StoredFile } from './files.ts'
import { parseRange } from './range.ts'
import { isShown } from './type.ts'

const keptForEver = 'public, max-age=31536000, immutable'
/** In the order of RFC 9110, section 13.2.2. */
type Verdict = 'go on' | 'not modified' | 'failed'

export async function answerFile(
  files: Pick<Files, 'head' | 'get'>,
  request: FileRequest,
  name: string,
  options: AnswerOptions,
): Promise<FileAnswer> {
  const method = request.method ?? 'GET'
  if (method !== 'GET' && method !== 'HEAD')
    return plain(405, 'Only GET and HEAD are answered here', { allow: 'GET, HEAD' })
  const file = await files.head(name)
  if (file === null) return plain(404, 'There is no such file', { 'cache-control': 'no-cache' }, method)
  const headers = headersOf(file, options)
  const verdict = weigh(request, headers.etag)
  if (verdict === 'failed') return plain(412, 'The file is another one', { etag: headers.etag }, method)
  if (verdict === 'not modified') return { status: 304, headers: notModified(headers), body: null }
  return await answerBytes(files, file, request, method, headers, options)
}

type FileHeaders = Readonly<Record<string, string>> & { readonly etag: string }

async function answerBytes(
  files: Pick<Files, 'get'>,
  file: StoredFile,
  request: FileRequest,
  method: string,
  headers: FileHeaders,
  { signal }: AnswerOptions,
): Promise<FileAnswer> {
  const { size } = file
  const range = method === 'GET' && mayRange(request, headers.etag) ? parseRange(one(request, 'range'), size) : null
  if (range === 'unsatisfiable') {
    return plain(416, 'That part is not there', { 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes' })
  }
  const { start, end } = range ?? { start: 0, end: size }
  const partly: Record<string, string> = range === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${size}` }
  const all = { ...headers, ...partly, 'content-length': String(end - start) }
  const status = range === null ? 200 : 206
  if (method === 'HEAD') return { status, headers: all, body: null }
  const opened = await files.get(file.name, { range: { start, end }, ...(signal && { signal }) })
  // Removed in between.
  if (opened === null) return plain(404, 'There is no such file', { 'cache-control': 'no-cache' })
  return { status, headers: all, body: opened.stream }
}

function headersOf(file: StoredFile, { cacheControl = keptForEver, download }: AnswerOptions): FileHeaders {
  const shown = isShown(file.type) && download === undefined
  return {
    etag: `"${file.name}"`,
    'content-type': file.type,
    'cache-control': cacheControl,
    'accept-ranges': 'bytes',
    'content-disposition': shown ? 'inline' : disposition(download),
    // Whatever it is, it is not looked into, and if it is shown after all it may run nothing and reach nobody.
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
  }
}

/** RFC 6266, with the name in both spellings. */
function disposition(name: string | undefined): string {
  if (name === undefined) return 'attachment'
  const plainName = name.replaceAll(/[^\w .()-]/g, '_')
  const encoded = encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16)}`,
  )
  return `attachment; filename="${plainName}"; filename*=UTF-8''${encoded}`
}

function weigh(request: FileRequest, etag: string): Verdict {
  const ifMatch = one(request, 'if-match')
  if (ifMatch !== undefined && !listed(ifMatch, etag, false)) return 'failed'
  const ifNoneMatch = one(request, 'if-none-match')
  return ifNoneMatch !== undefined && listed(ifNoneMatch, etag, true) ? 'not modified' : 'go on'
}

/** Without a Last-Modified, an If-Range with a date never holds. */
function mayRange(request: FileRequest, etag: string): boolean {
  const ifRange = one(request, 'if-range')
  return ifRange === undefined || ifRange.trim() === etag
}

function listed(header: string, etag: string, weakly: boolean): boolean {
  if (header.trim() === '*') return true
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => (weakly ? tag.replace(/^W\//, '') : tag) === etag)
}

function notModified(headers: FileHeaders): Record<string, string> {
  return { etag: headers.etag, 'cache-control': headers['cache-control'] ?? keptForEver }
}

function one({ headers }: FileRequest, name: string): string | undefined {
  const value = headers[name]
  return value === undefined || typeof value === 'string' ? value : value.join(', ')
}

function plain(status: number, text: string, headers: Record<string, string>, method = 'GET'): FileAnswer {
  const body = Buffer.from(`${text}\n`)
  const all = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.byteLength), ...headers }
  return { status, headers: all, body: method === 'HEAD' ? null : Readable.from([body]) }
}
