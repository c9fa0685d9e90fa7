/** What all baked pages share: they are rendered as for nobody, and their personal parts name what fills them in. */
import type { PageTools } from 'fourfold'
import { failurePage } from '../pages/failures.ts'
import { PAGE_HEADERS } from '../pages/headers.ts'
import { type Page, renderDocument } from '../pages/layout.ts'
import { type Part, partOf } from '../pages/parts.ts'
import { publicFiles } from '../public-files.ts'
import { type Reading, readingOf } from '../reading.ts'
import { Refusal } from '../refusal.ts'
import type { Schema } from '../schema.ts'

export type Tools = PageTools<{ main: Schema }>

/** A page, and the address that answers its personal parts. */
export interface Made {
  readonly fragments: string
  readonly page: (part: Part) => Page
}

export const asset = publicFiles.href

/**
 * Signed-in readers whose browser runs no script get the page from the app's own route, as does an address with
 * parameters that are not the page's: `/?feed=following`.
 */
export const shared = { readers: 'scripted', otherQuery: 'route', headers: PAGE_HEADERS } as const

/** Renders what `make` makes of the reads; what it refuses as missing is a page with status 404. */
export async function bake(tools: Tools, make: (reading: Reading) => Promise<Made>): Promise<string | Response> {
  try {
    return renderMade(await make(readingOf(tools)))
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 404) throw error
    return tools.notFound(renderMade({ fragments: '/fragments/account', page: () => failurePage(404) }))
  }
}

function renderMade({ fragments, page }: Made): string {
  const part = partOf(fragments)
  return renderDocument(page(part), { viewer: null, asset, part })
}
