/**
 * Files in a central place: uploads and profile pictures that every clone serves and none keeps. The recipe's golden
 * rule for them; the shape is that of content-addressed stores such as Git's.
 *
 * A file's name is the SHA-256 of its bytes, in 64 hexadecimal digits. What follows from it:
 * - a name never stands for other bytes, so an answer may be cached for ever, and a late replica cannot be stale about
 *   contents, only about whether a file is there;
 * - the same bytes put twice are one file. Nobody counts who refers to it: {@link Files.remove} takes it from all.
 *
 * When `put` resolves, the file is there for every process and survives the death of any of them. Before, nothing of it
 * can be seen: an upload that is cut short leaves pieces that no name leads to, and they are swept later, by their age. `put`
 * beside `remove` of the same bytes is as if one came after the other; a `put` that resolves after the `remove` began
 * may be the first of the two.
 *
 * Bytes flow in pieces, with back pressure both ways: neither side holds more than a few pieces in memory, and nothing
 * touches the local disc.
 */

import type { Readable } from 'node:stream'

/** What is read to the end and never changed: bytes, a Blob or File, a Request or Response, a stream, or pieces of bytes. */
export type FileSource =
  | Uint8Array
  | ArrayBuffer
  | Blob
  | ReadableStream<Uint8Array>
  | Readable
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>
  | { readonly body: ReadableStream<Uint8Array> | null }

export interface PutOptions {
  /** The most bytes taken; more is FF_FILES_TOO_LARGE. Default: `files.maxSize` of the configuration, 8 MiB. */
  readonly maxBytes?: number
  /** The types taken, such as `['image/*', 'application/pdf']`; others are FF_FILES_TYPE. Default: all. */
  readonly accept?: readonly string[]
  /** Gives up, and leaves nothing behind; a file that was just being named may be there all the same. */
  readonly signal?: AbortSignal
}

/** A file as it is known by its name. */
export interface StoredFile {
  /** The SHA-256 of the bytes, in 64 hexadecimal digits. */
  readonly name: string
  /** In bytes. */
  readonly size: number
  /** What the bytes look like, whatever anybody said of them; `application/octet-stream` where they look like nothing. */
  readonly type: string
  /** The path under which it is served: `/files/<name>`, as the configuration's `files.path` says. */
  readonly url: string
}

/** Bytes from `start` up to, and not including, `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface GetOptions {
  /** Only a part: it must lie within the file. Default: all of it. */
  readonly range?: ByteRange
  readonly signal?: AbortSignal
}

/** A file that is being read. Destroy the stream if you do not read it to its end. */
export interface OpenedFile extends StoredFile {
  readonly range: ByteRange
  /** Exactly the bytes of `range`; an error, never an early end, where some are missing. */
  readonly stream: Readable
}

/** The part of a request that decides how a file is answered. */
export interface FileRequest {
  readonly method?: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export interface AnswerOptions {
  /** Default: `public, max-age=31536000, immutable`. Use `private, no-store` where only some may see the file. */
  readonly cacheControl?: string
  /** Asks browsers to save it under this name instead of showing it. */
  readonly download?: string
  readonly signal?: AbortSignal
}

/** An answer in no framework's terms. */
export interface FileAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Null: the answer has no body. */
  readonly body: Readable | null
}

/** The central place for files: `ff.files`. */
export interface Files {
  /**
   * Takes a file. What is left of a source after an error stays unread and is still its owner's.
   *
   * @throws FF_FILES_TOO_LARGE, FF_FILES_TYPE; FF_FILES_INCOMPLETE where the source failed or sent nothing for a minute;
   * FF_FILES_UNAVAILABLE and the errors of databases where the place does not take it; `signal.reason`
   * @example
   * const picture = await ff.files.put(part.file, { maxBytes: 5 * 1024 ** 2, accept: ['image/*'] })
   */
  put(source: FileSource, options?: PutOptions): Promise<StoredFile>

  /** What is known of a file, or null: there is none of this name. */
  head(name: string): Promise<StoredFile | null>

  /**
   * Opens a file for reading, or answers null. A file that is removed meanwhile can be read to its end.
   *
   * @throws FF_FILES_ARGUMENT for a range beyond the file
   */
  get(name: string, options?: GetOptions): Promise<OpenedFile | null>

  /**
   * Takes a file away from everybody who put it. False: there was none. Caches between here and the browsers still have
   * it, for as long as they were told.
   */
  remove(name: string): Promise<boolean>

  /** The answer to a GET or HEAD for a file: conditions, ranges and safe headers as RFC 9110 has them. */
  answer(request: FileRequest, name: string, options?: AnswerOptions): Promise<FileAnswer>

  /** The same for a web-standard Request, as Hono and others hand it out. */
  respond(request: Request, name: string, options?: AnswerOptions): Promise<Response>

  /** The path under which a file is served. */
  url(name: string): string

  /**
   * Takes away what uploads and removals left behind and is older than `olderThanMs` (default: an hour, or a
   * day in S3); answers how many
   * contents. It runs by itself beside `put` and `remove`, at most every quarter of an hour in each process.
   */
  sweep(olderThanMs?: number): Promise<number>
}
