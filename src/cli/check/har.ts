/**
 * Reads HAR 1.2 files, as browsers save them (http://www.softwareishard.com/blog/har-12-spec/). What belonged to that
 * one visit (cookies, tokens, caches) is left out or taken from the live answers instead.
 */

import { findLinks, type Link, type Recorded } from './har-links.ts'
import { scriptError, type Script, type ScriptRequest, type Text } from './script.ts'
import { parseJson } from './text.ts'

interface HarEntry {
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers?: readonly { readonly name: string; readonly value: string }[]
    readonly postData?: {
      readonly text?: string
      readonly params?: readonly { readonly name: string; readonly value?: string }[]
    }
  }
  readonly response?: {
    readonly status?: number
    readonly content?: { readonly text?: string; readonly mimeType?: string; readonly encoding?: string }
  }
}

/** Told anew with every request, or true only of a browser's cache. */
const leftOut =
  /^(?::|cookie$|host$|content-length$|connection$|accept-encoding$|if-none-match$|if-modified-since$|proxy-)/i

/** @throws FF_CHECK_SCRIPT */
export function parseHar(source: string, file: string): Script {
  const entries = readEntries(source, file)
  const document = entries.find(({ response }) => response?.content?.mimeType?.startsWith('text/html')) ?? entries[0]
  const origin = document === undefined ? null : new URL(document.request.url).origin
  const own = entries.filter(({ request }) => new URL(request.url).origin === origin && request.method !== 'CONNECT')
  if (own.length === 0) throw scriptError(file, 'there is no request in it')
  const recorded = own.map(toRecorded)
  const requests = own.map((entry, index) =>
    toRequest(entry, `${file}#${index + 1}`, index, findLinks(recorded, index)),
  )
  return { requests, variables: new Map() }
}

function readEntries(source: string, file: string): readonly HarEntry[] {
  const har = parseJson(source.replace(/^\uFEFF/, ''))
  if (har === undefined) throw scriptError(file, 'this is not JSON, and so no HAR file')
  const entries = (har as { log?: { entries?: unknown } } | null)?.log?.entries
  if (!Array.isArray(entries)) throw scriptError(file, 'this is no HAR file: expected log.entries')
  for (const [index, entry] of entries.entries()) {
    const { method, url } = (entry as Partial<HarEntry> | null)?.request ?? {}
    if (typeof method === 'string' && typeof url === 'string' && URL.canParse(url)) continue
    throw scriptError(`${file}#${index + 1}`, 'expected a request with a method and a whole address')
  }
  return (entries as HarEntry[]).filter(({ request }) => /^https?:/.test(request.url))
}

/** What of an entry may tie it to others. */
function toRecorded({ request, response }: HarEntry): Recorded {
  const { content } = response ?? {}
  const headers = (request.headers ?? []).filter(({ name }) => !leftOut.test(name)).map(({ value }) => value)
  return {
    sent: [request.url, ...headers, bodyOf(request.postData) ?? ''],
    body: content?.encoding === 'base64' ? Buffer.from(content.text ?? '', 'base64').toString() : (content?.text ?? ''),
    type: content?.mimeType ?? '',
  }
}

function toRequest({ request }: HarEntry, place: string, index: number, links: readonly Link[]): ScriptRequest {
  const text = (value: string): Text => linkText(value, links)
  const headers = (request.headers ?? []).filter(({ name }) => !leftOut.test(name))
  const body = bodyOf(request.postData)
  return {
    place,
    title: '',
    name: nameOf(index),
    user: '',
    cookies: true,
    method: request.method,
    target: text(request.url),
    headers: headers.map(({ name, value }) => [name, text(value)] as const),
    body: body === null ? null : text(body),
    captures: [],
  }
}

function bodyOf(data: HarEntry['request']['postData']): string | null {
  if (data?.text !== undefined && data.text !== '') return data.text
  if (data?.params === undefined || data.params.length === 0) return null
  return new URLSearchParams(data.params.map(({ name, value }): [string, string] => [name, value ?? ''])).toString()
}

const nameOf = (index: number): string => `entry-${index + 1}`

/** The text with each linked value as a place to be filled in. */
function linkText(value: string, links: readonly Link[]): Text {
  for (const { text, source, from, path } of links) {
    const reference = { kind: 'answer', request: nameOf(source), from, path } as const
    for (const [shown, encoded] of [[text, false] as const, [encodeURIComponent(text), true] as const]) {
      const at = value.indexOf(shown)
      if (at < 0) continue
      const before = linkText(value.slice(0, at), links)
      const after = linkText(value.slice(at + shown.length), links)
      return [...before, encoded ? { ...reference, encoded } : reference, ...after]
    }
  }
  return value === '' ? [] : [value]
}
