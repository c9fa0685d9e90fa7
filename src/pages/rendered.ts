/**
 * From what a render answered to a document: what is the same for everybody, and may be kept.
 *
 * A page is answered to all readers, so whatever says that it is one reader's is refused, and so is a failure: the page
 * that was there before is better.
 */

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { makeDocument, type PageDocument } from './document.ts'

import type { EdgeOptions, PageDefinition, Rendered } from './define-page.ts'

type HeaderOptions = Pick<PageDefinition, 'path' | 'headers' | 'browser' | 'edge' | 'readers'> & EdgeFields

/** What an edge in front files a page by. */
export interface EdgeFields {
  /** Names, in small letters, and values. */
  readonly edgeFields?: (url: string, path: string) => readonly (readonly [string, string])[]
}

/** Of one hop, or of the encoding: whoever answers writes them. */
const notOurs = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'etag',
  'keep-alive',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
])
const keptForms = /(?:^|,)\s*(?:no-store|private)\s*(?:$|[,=])/i
const maxBytes = 4 * 1024 * 1024

/** @throws FF_PAGE_ANSWER */
export async function documentOf(page: HeaderOptions, rendered: Rendered, url: string): Promise<PageDocument> {
  const response = typeof rendered === 'string' ? htmlResponse(rendered, 200) : rendered
  if (!(response instanceof Response))
    throw refused(url, `expected HTML as a text or a Response, got ${typeof rendered}`)
  const { status } = response
  if (status < 200 || status >= 500 || status === 206 || status === 304) {
    throw refused(url, `expected a status from 200 to 499 of a whole document, got ${status}`)
  }
  const fields = fieldsOf(page, response, url)
  const body = Buffer.from(await response.arrayBuffer())
  if (body.length > maxBytes) throw refused(url, `expected at most ${maxBytes} bytes, got ${body.length}`)
  return await makeDocument(status, fields.flat(), body, Date.now())
}

export function htmlResponse(html: string, status: number): Response {
  return new Response(html, { status, headers: { 'content-type': 'text/html; charset=utf-8' } })
}

/** Sorted: the same page has the same tag however its headers were written down. */
function fieldsOf(page: HeaderOptions, response: Response, url: string): [string, string][] {
  const given = new Headers(response.headers)
  for (const [name, value] of Object.entries(page.headers ?? {})) given.set(name, value)
  if (given.has('set-cookie')) throw refused(url, 'it sets a cookie: a page is the same for everybody')
  if (given.has('content-encoding')) throw refused(url, 'it is encoded already: answer it as it is')
  const varies = given.get('vary')
  if (varies !== null && varies.toLowerCase() !== 'accept-encoding') {
    throw refused(url, `it varies by ${varies}: a page is the same for everybody`)
  }
  const control = given.get('cache-control')
  if (control !== null && keptForms.test(control)) {
    throw refused(url, `its Cache-Control is "${control}": what nobody may keep cannot be baked`)
  }
  if (control === null) given.set('cache-control', browserControl(page))
  for (const [name, value] of page.edgeFields?.(url, page.path) ?? []) given.set(name, value)
  const edge = edgeControl(page)
  if (edge !== null && !given.has('cdn-cache-control')) given.set('cdn-cache-control', edge)
  const kept: [string, string][] = [...given].filter(([name]) => !notOurs.has(name))
  // Another reader may have another answer, of the app's own route.
  return (page.readers ?? 'everybody') === 'everybody' ? kept : [...kept, ['vary', 'authorization, cookie']]
}

function browserControl({ browser }: HeaderOptions): string {
  const seconds = browser === undefined ? 0 : secondsOf(browser)
  return seconds === 0 ? 'public, no-cache' : `public, max-age=${seconds}, must-revalidate`
}

function edgeControl({ edge }: HeaderOptions): string | null {
  if (edge === undefined) return null
  const { fresh, staleWhileRevalidate, staleIfError }: EdgeOptions = typeof edge === 'object' ? edge : { fresh: edge }
  const parts = [`max-age=${secondsOf(fresh)}`]
  if (staleWhileRevalidate !== undefined) parts.push(`stale-while-revalidate=${secondsOf(staleWhileRevalidate)}`)
  if (staleIfError !== undefined) parts.push(`stale-if-error=${secondsOf(staleIfError)}`)
  return parts.join(', ')
}

function secondsOf(duration: number | string): number {
  return Math.floor(parseDuration(duration) / 1000)
}

function refused(url: string, why: string): FourfoldError {
  return new FourfoldError('FF_PAGE_ANSWER', `The page ${url} cannot be kept: ${why}`, { fields: { url } })
}
