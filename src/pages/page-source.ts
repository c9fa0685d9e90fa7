/** From a page's definition to what look-ups need: an entry whose value is the document. */

import { createHash } from 'node:crypto'

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { hashVersion } from '../freshness/changes/hash.ts'
import { documentOf, htmlResponse } from './rendered.ts'
import { urlOf, type PageKey, type PageRoute } from './routes.ts'

import type { MakeTools } from '../cache/object-source.ts'
import type { Source } from '../cache/source.ts'
import type { PageContext, PageDefinition } from './define-page.ts'

/** A page that an app has, with the source of its entries. */
export interface PageSource extends Source<PageKey> {
  readonly route: PageRoute
  readonly definition: Pick<PageDefinition, 'path' | 'params' | 'schedule'>
  /** Whether the app has a route at this address that answers what cannot be baked. */
  readonly ofRoute: boolean
}

/** What is the same for all pages, however their documents are made. */
export function pageSourceOf(
  definition: PageSource['definition'] & Pick<PageDefinition, 'ttl'>,
  route: PageRoute,
  own: Pick<PageSource, 'load' | 'ofRoute'>,
): PageSource {
  const { path, ttl } = definition
  const ttlMs = ttl === undefined ? null : parseDuration(ttl)
  const { prefix } = route
  return { ...own, name: path, prefix, ttlMs, values: 'own', clusterWide: true, baked: true, route, definition }
}

/** Tells entries apart that other definitions made, where there is no build. */
export function codeOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 12)
}

/** What a render has no business with; whoever reaches for it is told. */
const personal = ['session', 'request', 'req', 'headers', 'cookies', 'user', 'reader']

/** @throws FF_PAGE_DEFINITION */
export function createPageSource(definition: PageDefinition, build: string, tools: MakeTools): PageSource {
  const { path, query = [], render, otherQuery, readers = 'everybody' } = definition
  check(definition)
  const { version = 0, headers, browser, edge } = definition
  const code = codeOf(version, String(render), headers, browser, edge, readers)
  const prefix = `${build}:${hashVersion}:p:${path}:${code}:`
  const route = { path, query, prefix, readers, strict: otherQuery === 'route' }
  const load: PageSource['load'] = async (key, options) => {
    const given = addContext(tools(options), definition, key)
    const params = Object.fromEntries(Object.entries(key).filter(([name]) => !name.startsWith('?')))
    const rendered = await render(given as never, params as never)
    const document = await documentOf(definition, rendered, urlOf(route, key))
    // Its address alone said so: there is nothing to follow, and nothing that would be worth keeping.
    if (document.status >= 300 && definition.ttl === undefined && options.recording.empty) {
      options.recording.refuse('its address alone says that there is no such page')
    }
    return document
  }
  return pageSourceOf(definition, route, { load, ofRoute: false })
}

function addContext(tools: ReturnType<MakeTools>, definition: PageDefinition, key: PageKey): object {
  const { path, query = [] } = definition
  const context: PageContext = {
    query: Object.fromEntries(query.map((name) => [name, key[`?${name}`]])),
    url: urlOf({ path, query }, key),
    notFound: (html = notFoundPage) => htmlResponse(html, 404),
  }
  for (const [name, value] of Object.entries(context)) Object.defineProperty(tools, name, { enumerable: true, value })
  for (const name of personal) {
    if (name in tools) continue
    const get = (): never => {
      const message =
        `The render of ${path} asked for \`${name}\`: a page is the same for everybody, so there is none. ` +
        'Let the page fetch what is personal, or serve it by a route of the app'
      throw new FourfoldError('FF_PAGE_PERSONAL', message, { fields: { path, name } })
    }
    Object.defineProperty(tools, name, { enumerable: false, get })
  }
  return tools
}

const notFoundPage =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Not found</title><h1>404 Not found</h1></html>\n'

function check({ path, render, query, readers, otherQuery }: PageDefinition): void {
  const mistake = (expected: string): FourfoldError =>
    new FourfoldError('FF_PAGE_DEFINITION', `The page ${JSON.stringify(path)}: ${expected}`, { fields: { path } })
  if (typeof path !== 'string' || !path.startsWith('/')) throw mistake('expected a path that begins with "/"')
  if (typeof render !== 'function') throw mistake('expected a function render')
  if (
    query !== undefined &&
    !(Array.isArray(query) && query.every((name) => typeof name === 'string' && name !== ''))
  ) {
    throw mistake('query: expected a list of names')
  }
  if (readers !== undefined && !['everybody', 'anonymous', 'scripted'].includes(readers)) {
    throw mistake(`readers: expected 'everybody', 'anonymous' or 'scripted', got ${JSON.stringify(readers)}`)
  }
  if (otherQuery !== undefined && otherQuery !== 'ignore' && otherQuery !== 'route') {
    throw mistake(`otherQuery: expected 'ignore' or 'route', got ${JSON.stringify(otherQuery)}`)
  }
}
