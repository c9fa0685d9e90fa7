/**
 * Under which file name a page lies in a directory.
 *
 * Invariants, for any address that anybody can ask for:
 * - The name stays inside the directory, and is no hidden one.
 * - No two addresses have one name, and no name is a folder of another.
 * - A web server that decodes an address and puts `.html` behind it finds this page or none.
 *
 * What cannot be named so has no name and is answered by the app: no name is ever made safe by changing it, because
 * whoever looks for it would have to change it in the same way.
 */

/** What a name that is no HTML may end with, and what it then holds. A web server makes a type of it. */
const types: Readonly<Record<string, readonly string[]>> = {
  atom: ['application/atom+xml'],
  css: ['text/css'],
  csv: ['text/csv'],
  ics: ['text/calendar'],
  js: ['text/javascript', 'application/javascript'],
  json: ['application/json', 'application/feed+json', 'application/ld+json'],
  rss: ['application/rss+xml'],
  svg: ['image/svg+xml'],
  txt: ['text/plain'],
  webmanifest: ['application/manifest+json'],
  xml: ['application/xml', 'text/xml', 'application/rss+xml', 'application/atom+xml'],
}

/** Room for what is put behind it, up to the 255 that file systems take. */
const maxSegmentBytes = 200
const maxPathBytes = 2_000
/** Control characters, and what separates folders or a query. */
const oddCharacters = /[\p{Cc}/\\?]/u
/** What is put behind the names of files. */
const fileLike = new RegExp(`\\.(?:html|gz|br|tmp|${Object.keys(types).join('|')})$`, 'i')

/** Relative, with `/` between folders; null where the page has no name. */
export function fileNameFor(url: string, type: string | null): string | null {
  const mediaType = (type ?? '').split(';')[0]!.trim().toLowerCase()
  if (mediaType === 'text/html') return htmlName(url)
  const name = plainName(url)
  const ending = name?.slice(name.lastIndexOf('.') + 1)
  return name !== null && types[ending!]?.includes(mediaType) ? name : null
}

/** All names that a page of this address may have had. */
export function fileNamesFor(url: string): readonly string[] {
  return [htmlName(url), plainName(url)].filter((name) => name !== null)
}

function htmlName(url: string): string | null {
  const mark = url.indexOf('?')
  const segments = readSegments(mark < 0 ? url : url.slice(0, mark))
  if (segments === null) return null
  const last = segments.at(-1)! || 'index'
  const name = `${last}${mark < 0 ? '' : url.slice(mark)}.html`
  return fits(name) ? [...segments.slice(0, -1), name].join('/') : null
}

/** Under its own name: it has to end with what says its type, and a query cannot be told by it. */
function plainName(url: string): string | null {
  const segments = url.includes('?') ? null : readSegments(url)
  const ending = segments && /\.([a-z]+)$/.exec(segments.at(-1)!)?.[1]
  return ending && Object.hasOwn(types, ending) ? segments.join('/') : null
}

/** Decoded; the last is empty where the address ends with a slash. Null where one of them cannot be a file's name. */
function readSegments(path: string): readonly string[] | null {
  const parts = path.split('/').slice(1)
  if (!path.startsWith('/') || Buffer.byteLength(path) > maxPathBytes) return null
  const segments: string[] = []
  for (const [at, part] of parts.entries()) {
    const isLast = at === parts.length - 1
    const segment = decode(part)
    if (segment === null || (segment === '' && !isLast) || segment.startsWith('.')) return null
    if (oddCharacters.test(segment) || !fits(segment)) return null
    // `index` is what an address ends with that ends with a slash; and a folder must not be another page's file.
    if (isLast ? segment === 'index' : fileLike.test(segment)) return null
    segments.push(segment)
  }
  return segments
}

function fits(segment: string): boolean {
  return Buffer.byteLength(segment) <= maxSegmentBytes
}

function decode(segment: string): string | null {
  try {
    const text = decodeURIComponent(segment)
    // Half a surrogate pair has no form in UTF-8.
    return text.isWellFormed() ? text : null
  } catch {
    return null
  }
}
