/**
 * Forms with a picture in them. The picture goes on to the central place for files while it comes in: no clone holds
 * more of it than a piece, and none writes it to its disc.
 */
import multipart from '@fastify/multipart'
import { type ErrorCode, isFourfoldError, type StoredFile } from 'fourfold'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MAX_BODY_BYTES, MAX_PICTURE_BYTES, PICTURE_TYPES } from '../limits.ts'
import { type Messages, Refusal } from '../refusal.ts'
import { type Form, readForm } from './forms.ts'

const MAX_FIELDS = 10
/** What is read past a picture that is too large, so that the form around it can be shown again. */
const MOST_READ_PAST = 8 * MAX_PICTURE_BYTES

export interface FormWithPicture extends Form {
  /** The picture, kept already; null where none was chosen, or where it was refused. */
  readonly picture: StoredFile | null
  /** Why the picture was refused. */
  readonly refused: Messages
}

/** Lets a part of the app take such forms. */
export async function acceptPictures(pages: FastifyInstance): Promise<void> {
  // The file's size is limited where it is kept; what is held here, by the fields together.
  const limits = { fileSize: Infinity, files: 1, fields: MAX_FIELDS, fieldSize: MAX_BODY_BYTES / MAX_FIELDS }
  await pages.register(multipart, { limits, throwFileSizeLimit: false })
}

/** Reads a form as it was sent, with a picture or without. */
export async function readFormWithPicture(request: FastifyRequest): Promise<FormWithPicture> {
  if (!request.isMultipart()) return { ...readForm(request.body), picture: null, refused: {} }
  const fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  const pictures = new PictureIntake(request)
  try {
    for await (const part of request.parts()) {
      if (part.type === 'file') await pictures.take(part.file, part.filename)
      else if (part.valueTruncated) throw new Refusal(413, { [part.fieldname]: ['is too long'] })
      else fields[part.fieldname] ??= part.value
    }
  } catch (error) {
    throw explainParsing(error)
  }
  return { ...readForm(fields), picture: pictures.picture, refused: pictures.refused }
}

class PictureIntake {
  readonly #request: FastifyRequest
  picture: StoredFile | null = null
  refused: Messages = {}

  constructor(request: FastifyRequest) {
    this.#request = request
  }

  /** Browsers send a nameless, empty file where none was chosen. */
  async take(file: AsyncIterable<Uint8Array> & { resume(): unknown }, filename: string | undefined): Promise<void> {
    if (filename === undefined || filename === '') return void file.resume()
    try {
      this.picture = await this.#request.ff.files.put(file, { maxBytes: MAX_PICTURE_BYTES, accept: PICTURE_TYPES })
    } catch (error) {
      const message = isFourfoldError(error) ? REFUSALS[error.code] : undefined
      if (message === undefined) throw error
      this.refused = { picture: [message] }
      await readPast(file)
    }
  }
}

const REFUSALS: { readonly [Code in ErrorCode]?: string } = {
  FF_FILES_TOO_LARGE: `is too large (maximum is ${MAX_PICTURE_BYTES / 1024 ** 2} MiB)`,
  FF_FILES_TYPE: 'must be a PNG, JPEG, GIF, WebP or AVIF image',
}

/** The fields behind a refused picture come when it has been read. */
async function readPast(file: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0
  for await (const some of file) {
    bytes += some.byteLength
    if (bytes > MOST_READ_PAST) throw new Refusal(413, { picture: ['is far too large'] })
  }
}

/** A form that breaks off, or is none: what came of it is not known well enough to show it again. */
function explainParsing(error: unknown): unknown {
  if (error instanceof Refusal) return error
  const { statusCode } = error as { statusCode?: unknown }
  if (statusCode === 413 || statusCode === 406)
    return new Refusal(Number(statusCode) === 413 ? 413 : 400, { form: ['has too many parts'] })
  if (isFourfoldError(error) && error.code !== 'FF_FILES_INCOMPLETE') return error
  return statusCode === undefined || isFourfoldError(error)
    ? new Refusal(400, { form: ['did not arrive whole'] })
    : error
}
