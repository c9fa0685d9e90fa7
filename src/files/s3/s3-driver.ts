/**
 * Files in a bucket of S3, or of what speaks its protocol and reads what was just written (Amazon's does).
 *
 * - A file of one piece is one PutObject under its name. A larger one is a multipart upload under a key of its own in
 *   `staging/`, because the name is known at its end only; it is then copied within the store, and the staged key goes.
 *   Both ways the name appears at once and whole; the same bytes put twice write the same object twice.
 * - `sweep` aborts uploads and deletes keys of `staging/` by their age. A rule of the bucket that does so is welcome too.
 * - Checksums are sent where S3 requires them and not otherwise: others that speak its protocol refuse them, and what is
 *   sent is signed with the hash of its contents anyway.
 */

import { randomUUID } from 'node:crypto'
import { FourfoldError } from '../../core/errors.ts'
import type { FileDriver, FileFacts, FoundFile, Stage } from '../driver.ts'
import { S3Caller, type S3ClientOptions } from './caller.ts'

export interface S3DriverOptions extends S3ClientOptions {
  readonly bucket: string
  /** Before every key, where a bucket is shared: `'app/'`. Default: nothing. */
  readonly prefix?: string | undefined
}

/** The least that S3 takes as a part of several. */
const pieceBytes = 5 * 1024 ** 2
/** S3 knows when an upload began, and not when its last piece came: one that takes a day is over. */
const leftoverAgeMs = 24 * 3_600_000
/** At most 10,000 parts, and one copy: 5 GiB. */
const maxCopyBytes = 5 * 1024 ** 3

/** Opens no connection yet. */
export function createS3Driver(options: S3DriverOptions): FileDriver {
  const { bucket, prefix = '' } = options
  const caller = new S3Caller(options)
  const keyOf = (name: string): string => `${prefix}files/${name}`
  const staging = `${prefix}staging/`

  async function find(name: string, signal: AbortSignal): Promise<FoundFile | null> {
    const key = { Bucket: bucket, Key: keyOf(name) }
    const head = await caller.send('HeadObject', key, signal, ['NotFound', 'NoSuchKey'])
    if (head === null) return null
    const size = Number(head.ContentLength ?? 0)
    const type = typeof head.ContentType === 'string' ? head.ContentType : 'application/octet-stream'
    return {
      name,
      size,
      type,
      read: async function* ({ start, end }, ending) {
        const whole = start === 0 && end === size
        const part = whole ? {} : { Range: `bytes=${start}-${end - 1}` }
        const found = await caller.send('GetObject', { ...key, ...part }, ending)
        yield* found?.Body as AsyncIterable<Uint8Array>
      },
    }
  }

  return {
    pieceBytes,
    leftoverAgeMs,
    find,
    stage: () => createStage(caller, bucket, `${staging}${randomUUID()}`, keyOf),
    remove: async (name, signal) => {
      if ((await find(name, signal)) === null) return false
      await caller.send('DeleteObject', { Bucket: bucket, Key: keyOf(name) }, signal)
      return true
    },
    sweep: (olderThanMs, signal) => sweep(caller, bucket, staging, olderThanMs, signal),
    close: () => caller.close(),
  }
}

/** How S3 says that an upload was aborted. */
const swept: readonly string[] = ['NoSuchUpload']

interface Part {
  readonly PartNumber: number
  readonly ETag: unknown
}

function createStage(caller: S3Caller, bucket: string, stagedKey: string, keyOf: (name: string) => string): Stage {
  const staged = { Bucket: bucket, Key: stagedKey }
  const parts: Part[] = []
  let upload: string | null = null
  let completed = false

  async function sendPart(piece: Uint8Array, signal: AbortSignal): Promise<void> {
    const PartNumber = parts.length + 1
    const part = { ...staged, UploadId: upload, PartNumber, Body: piece }
    const sent = await caller.send('UploadPart', part, signal, swept)
    if (sent === null) throw sweptUpload()
    parts.push({ PartNumber, ETag: sent.ETag })
  }

  async function copy(facts: FileFacts, signal: AbortSignal): Promise<void> {
    const source = `${bucket}/${stagedKey}`.split('/').map(encodeURIComponent).join('/')
    const target = { Bucket: bucket, Key: keyOf(facts.name), ContentType: facts.type, MetadataDirective: 'REPLACE' }
    await caller.send('CopyObject', { ...target, CopySource: source }, signal)
    // Its bytes are under their name now; the sweep finds what is left.
    await caller.send('DeleteObject', staged, signal).catch(() => undefined)
  }

  return {
    write: async (piece, signal) => {
      upload ??= String((await caller.send('CreateMultipartUpload', staged, signal))?.UploadId)
      await sendPart(piece, signal)
    },
    finish: async (facts, last, signal) => {
      if (upload === null) {
        const whole = { Bucket: bucket, Key: keyOf(facts.name), ContentType: facts.type, Body: last }
        await caller.send('PutObject', whole, signal)
        return
      }
      refuseTooLarge(facts)
      await sendPart(last, signal)
      const whole = { ...staged, UploadId: upload, MultipartUpload: { Parts: parts } }
      if ((await caller.send('CompleteMultipartUpload', whole, signal, swept)) === null) throw sweptUpload()
      completed = true
      await copy(facts, signal)
      upload = null
    },
    discard: async () => {
      if (upload === null) return
      const signal = new AbortController().signal
      if (completed) await caller.send('DeleteObject', staged, signal)
      else await caller.send('AbortMultipartUpload', { ...staged, UploadId: upload }, signal, swept)
    },
  }
}

async function sweep(
  caller: S3Caller,
  bucket: string,
  prefix: string,
  olderThanMs: number,
  signal: AbortSignal,
): Promise<number> {
  const before = Date.now() - olderThanMs
  const place = { Bucket: bucket, Prefix: prefix }
  const uploads = (await caller.send('ListMultipartUploads', place, signal))?.Uploads as Listed[] | undefined
  const keys = (await caller.send('ListObjectsV2', place, signal))?.Contents as Listed[] | undefined
  const oldUploads = (uploads ?? []).filter(({ Initiated }) => Initiated !== undefined && Initiated.getTime() <= before)
  const oldKeys = (keys ?? []).filter(
    ({ LastModified }) => LastModified !== undefined && LastModified.getTime() <= before,
  )
  for (const { Key, UploadId } of oldUploads) {
    await caller.send('AbortMultipartUpload', { Bucket: bucket, Key, UploadId }, signal, swept)
  }
  for (const { Key } of oldKeys) await caller.send('DeleteObject', { Bucket: bucket, Key }, signal)
  return oldUploads.length + oldKeys.length
}

interface Listed {
  readonly Key?: string
  readonly UploadId?: string
  readonly Initiated?: Date
  readonly LastModified?: Date
}

function sweptUpload(): FourfoldError {
  return new FourfoldError('FF_FILES_SWEPT', 'The upload took longer than a day and was swept: put the file again')
}

function refuseTooLarge({ size }: FileFacts): void {
  if (size <= maxCopyBytes) return
  const message = `S3 copies at most ${maxCopyBytes} bytes at once, so that no larger file can be named; got ${size}`
  throw new FourfoldError('FF_FILES_TOO_LARGE', message, { fields: { maxBytes: maxCopyBytes } })
}
