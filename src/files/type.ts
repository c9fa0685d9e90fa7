/**
 * What a file is, by its own bytes: what a sender says of it is not believed. Types that browsers only show are served
 * inline; all others (HTML, SVG, PDF, scripts and what nobody knows) are for saving.
 */

import { FourfoldError } from '../core/errors.ts'

/** How much of the beginning is looked at. */
const sampleBytes = 64 * 1024
const unknownType = 'application/octet-stream'

const shownTypes: ReadonlySet<string> = new Set([
  ...['png', 'apng', 'jpeg', 'gif', 'webp', 'avif', 'bmp', 'x-icon'].map((name) => `image/${name}`),
  ...['mpeg', 'ogg', 'wav', 'flac', 'aac', 'mp4', 'x-m4a', 'webm'].map((name) => `audio/${name}`),
  ...['mp4', 'webm', 'ogg', 'quicktime'].map((name) => `video/${name}`),
])

/** The type of a file that begins with these bytes. */
export async function sniffType(beginning: Uint8Array): Promise<string> {
  // Loaded with the first file: it knows a great many types, and most processes are never sent one.
  const { fileTypeFromBuffer } = await import('file-type')
  const sample = beginning.subarray(0, sampleBytes)
  // What confuses the library looks like nothing.
  const found = await fileTypeFromBuffer(sample).catch(() => undefined)
  if (found !== undefined) return found.mime
  if (isPng(sample)) return 'image/png'
  return isText(sample) ? 'text/plain; charset=utf-8' : unknownType
}

/** @throws FF_FILES_TYPE unless the type is among those accepted */
export function refuseOtherTypes(type: string, accept: readonly string[] | undefined): void {
  if (accept === undefined || accept.some((wanted) => matches(type, wanted))) return
  const message = `Expected a file of type ${accept.join(' or ')}; what came looks like ${type}`
  throw new FourfoldError('FF_FILES_TYPE', message, { fields: { type, accept } })
}

/** Whether a browser may show it on a page of ours: it can run nothing. */
export function isShown(type: string): boolean {
  return shownTypes.has(type)
}

function matches(type: string, wanted: string): boolean {
  const [essence = ''] = type.split(';')
  return wanted === '*/*' || wanted === essence || (wanted.endsWith('/*') && essence.startsWith(wanted.slice(0, -1)))
}

/** The library looks for an animation behind a picture's remarks, and gives up where those are longer than the sample. */
function isPng(sample: Uint8Array): boolean {
  return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a].every((byte, index) => sample[index] === byte)
}

function isText(sample: Uint8Array): boolean {
  if (sample.byteLength === 0) return false
  try {
    // Streaming: the sample may end within a character.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(sample, { stream: true })
    // White space is the only kind of control that texts need.
    return !/[^\P{Cc}\t\n\f\r]/u.test(text)
  } catch {
    return false
  }
}
