/**
 * Pages as objects of a bucket of S3, for a CDN in front of it.
 *
 * - An object is replaced in one step by S3 itself. Beside it stands which bake it is: one that is older is not written
 *   over a newer one, and on servers that know conditional writes (Amazon's do) this holds for two writers at once, too.
 *   On others it is the page's lease that keeps them apart.
 * - Keys are paths as people write them. A CDN looks for the path and knows no query, so pages of a `path` that looks at
 *   queries are not put here: the first of them would stand for all.
 */

import { gunzipSync } from 'node:zlib'

import { headerOf, isServable, type PageAddress, type PublishedPage, type Publisher } from './publisher.ts'
import { compareVersions, decodeVersion, encodeVersion } from './version.ts'

import type { PageDocument } from '../document.ts'

/** Calls of S3: answers null for the errors named in `absent`. */
export interface BucketCaller {
  send(
    operation: 'PutObject' | 'HeadObject' | 'DeleteObject',
    input: object,
    signal: AbortSignal,
    absent?: readonly string[],
  ): Promise<Record<string, unknown> | null>
  close(): Promise<void>
}

export interface BucketOptions {
  /** Closed with the publisher. */
  readonly caller: BucketCaller
  readonly bucket: string
  /** Tells buckets of the same name on several servers apart. */
  readonly endpoint?: string | undefined
  /** Before every key: `'site/'`. */
  readonly prefix?: string | undefined
  /** In which form pages are stored. Default: as they are. */
  readonly encoding?: 'identity' | 'gzip' | 'br' | undefined
}

interface Head {
  readonly etag: string
  readonly version: ReturnType<typeof decodeVersion>
  readonly tag: string | undefined
}

const maxKeyBytes = 900
const notThere: readonly string[] = ['NotFound', 'NoSuchKey']
/** Another wrote between the look and the write: 412, and 409 where both were at it. */
const refused: readonly string[] = ['PreconditionFailed', 'ConditionalRequestConflict']
/** Fields that go along as they are. */
const kept = { 'cache-control': 'CacheControl', 'content-language': 'ContentLanguage' } as const
const maxAttempts = 5

export function createBucketPublisher(options: BucketOptions): Publisher {
  const { caller, bucket, endpoint = '', prefix = '', encoding = 'identity' } = options
  let knowsConditions = true
  const placeOf = (key: string): object => ({ Bucket: bucket, Key: prefix + key })

  async function look(key: string, signal: AbortSignal): Promise<Head | null> {
    const head = await caller.send('HeadObject', placeOf(key), signal, notThere)
    if (head === null) return null
    const { 'ff-version': version, 'ff-tag': tag } = (head['Metadata'] ?? {}) as Record<string, string | undefined>
    return { etag: head['ETag'] as string, version: version === undefined ? null : readVersion(version), tag }
  }

  /** False: another wrote since the look. */
  async function write(key: string, there: Head | null, object: object, signal: AbortSignal): Promise<boolean> {
    const condition = !knowsConditions ? null : there === null ? { IfNoneMatch: '*' } : { IfMatch: there.etag }
    try {
      const whole = { ...placeOf(key), ...object, ...condition }
      return (await caller.send('PutObject', whole, signal, refused)) !== null
    } catch (error) {
      if (condition === null || !isUnknown(error)) throw error
      knowsConditions = false
      return await write(key, there, object, signal)
    }
  }

  async function put(key: string, page: PublishedPage, signal: AbortSignal): Promise<void> {
    const object = objectOf(page, encoding)
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      const there = await look(key, signal)
      if (isNewer(there, page) || (await write(key, there, object, signal))) return
    }
    throw new Error(`others wrote ${key} at the same time, ${maxAttempts} times in a row`)
  }

  const keyFor = ({ url, looksAtQuery }: PageAddress): string | null => (looksAtQuery ? null : keyOf(url))
  const remove = async (address: PageAddress, signal: AbortSignal): Promise<void> => {
    const key = keyFor(address)
    if (key !== null) await caller.send('DeleteObject', placeOf(key), signal, notThere)
  }

  return {
    id: `s3:${endpoint}:${bucket}:${prefix}`,
    publish: async (page, signal) => {
      const key = keyFor(page)
      if (key === null) return
      if (isServable(page.document)) await put(key, page, signal)
      else await remove(page, signal)
    },
    remove,
    holds: async (page, signal) => {
      const key = keyFor(page)
      if (key === null) return true
      const there = await look(key, signal)
      return isServable(page.document) ? there?.tag === page.document.tag : there === null
    },
    close: () => caller.close(),
  }
}

/** How servers say that they know no conditional writes. */
function isUnknown(error: unknown): boolean {
  return (error as { fields?: { status?: unknown } }).fields?.status === 501
}

/** Of another build's bake nobody knows which is newer: the ledger has decided already. */
function isNewer(there: Head | null, { version }: PublishedPage): boolean {
  const other = there?.version ?? null
  return other !== null && other.build === version.build && compareVersions(other, version) > 0
}

function objectOf(page: PublishedPage, encoding: 'identity' | 'gzip' | 'br'): object {
  const { document, version } = page
  const packed = encoding === 'identity' ? null : document[encoding]
  const fields = Object.entries(kept).flatMap(([name, field]) => {
    const value = headerOf(document, name)
    return value === null ? [] : [[field, value]]
  })
  return {
    ...(Object.fromEntries(fields) as object),
    Body: packed ?? plainOf(document),
    ...(packed === null ? {} : { ContentEncoding: encoding }),
    ContentType: headerOf(document, 'content-type') ?? 'application/octet-stream',
    Metadata: { 'ff-tag': document.tag, 'ff-version': Buffer.from(encodeVersion(version)).toString('base64url') },
  }
}

function plainOf({ plain, gzip }: PageDocument): Uint8Array {
  return plain ?? gunzipSync(gzip!)
}

function readVersion(text: string): ReturnType<typeof decodeVersion> {
  return decodeVersion(Buffer.from(text, 'base64url').toString())
}

/** The path as people write it, without the slash before it; null where no request could name it. */
function keyOf(url: string): string | null {
  if (url.includes('?') || url.includes('//')) return null
  try {
    const key = decodeURIComponent(url.slice(1))
    const segments = key.split('/')
    // Clients tidy these up before they ask; and `/a%2Fb` is not `/a/b`.
    if (segments.length !== url.split('/').length - 1 || segments.some((one) => one === '.' || one === '..'))
      return null
    if (/\p{Cc}/u.test(key) || !key.isWellFormed() || Buffer.byteLength(key) > maxKeyBytes) return null
    // `index.html` of a folder is that folder, as static hosts have it.
    if (segments.at(-1) === 'index.html') return null
    return key === '' || key.endsWith('/') ? `${key}index.html` : key
  } catch {
    return null
  }
}
