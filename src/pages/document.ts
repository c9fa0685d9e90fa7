/**
 * A baked page as it is kept: what is answered for it, in one form for each encoding. Plain data, so that it survives in
 * any tier and is answered by any process.
 */

import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

export interface PageDocument {
  readonly status: number
  /** Names in small letters and values, flat; without those that hang on the encoding. */
  readonly headers: readonly string[]
  /** Names this content: part of its ETags. */
  readonly tag: string
  /** Bytes of the body as it is. */
  readonly length: number
  /** The body as it is; null where it is kept compressed. */
  readonly plain: Uint8Array | null
  readonly gzip: Uint8Array | null
  readonly br: Uint8Array | null
  /** Wall clock, ms. */
  readonly bakedAtMs: number
}

/** Smaller bodies gain nothing: they travel in one packet anyway. */
const leastBytes = 860
/** What is compressed already gains less than this. */
const leastGain = 0.9
/** Where Brotli stops being cheaper than what it saves; a page is compressed once and sent often. */
const brotliQuality = 6

const compressGzip = promisify(gzip)
const compressBrotli = promisify(brotliCompress)

/** @param headers flat, names in small letters */
export async function makeDocument(
  status: number,
  headers: readonly string[],
  body: Uint8Array,
  bakedAtMs: number,
): Promise<PageDocument> {
  const text = JSON.stringify([status, headers])
  const tag = hash('sha256', Buffer.concat([Buffer.from(text), body]), 'base64url').slice(0, 22)
  const compressed = body.length < leastBytes ? null : await compress(body)
  const { length } = body
  if (compressed === null) return { status, headers, tag, length, plain: body, gzip: null, br: null, bakedAtMs }
  return { status, headers, tag, length, plain: null, ...compressed, bakedAtMs }
}

/** Null where it would not be worth it. */
async function compress(body: Uint8Array): Promise<{ readonly gzip: Uint8Array; readonly br: Uint8Array } | null> {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: brotliQuality,
    [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
  }
  const [zipped, brotli] = await Promise.all([compressGzip(body), compressBrotli(body, { params })])
  return zipped.length > body.length * leastGain ? null : { gzip: own(zipped), br: own(brotli) }
}

/** Without the rest of the larger piece of memory that it may be a part of. */
function own(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength === bytes.length ? bytes : Uint8Array.prototype.slice.call(bytes)
}
