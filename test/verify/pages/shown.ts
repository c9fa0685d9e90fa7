/** Rows on a page, and back from its HTML. */

import type { Item } from '../consistency/history.ts'

export interface ShownRow {
  readonly key: string
  readonly version: string
  readonly stamp: string
}

/** Long enough to be worth compressing, as pages are. */
const filler = '<p>so that there is something to compress</p>\n'.repeat(30)

export function itemsHtml(rows: readonly ShownRow[]): string {
  const items = rows.map(
    ({ key, version, stamp }) => `<li data-key="${key}" data-version="${version}" data-stamp="${stamp}">`,
  )
  return `<!doctype html><html lang="en"><title>rows</title><ul>${items.join('\n')}</ul>${filler}</html>`
}

export function itemsIn(html: string): Item[] {
  const found = html.matchAll(/data-key="([^"]*)" data-version="(\d+)" data-stamp="([^"]*)"/g)
  return [...found].map(([, key, version, stamp]) => ({
    key: `counters/${key}`,
    version: Number(version),
    stamp: stamp!,
  }))
}
