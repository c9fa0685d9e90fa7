/** Calls of S3 through Amazon's own client, loaded when the first file is asked for. */

import { FourfoldError } from '../../core/errors.ts'

/** The little that is used of an `S3Client`, so that our types do not need the package's. */
export interface S3ClientLike {
  send(command: any, options: { readonly abortSignal: AbortSignal }): Promise<any>
  destroy(): void
}

export interface S3ClientOptions {
  /** Default: the SDK's own way to find one, else `us-east-1`. */
  readonly region?: string | undefined
  /** The address of a store that is not Amazon's. Keys are then part of the path and not of the host name. */
  readonly endpoint?: string | undefined
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  /** A client of yours, which is not closed here. The options above do not count then. */
  readonly client?: S3ClientLike
}

export type S3Operation =
  | 'AbortMultipartUpload'
  | 'CompleteMultipartUpload'
  | 'CopyObject'
  | 'CreateMultipartUpload'
  | 'DeleteObject'
  | 'GetObject'
  | 'HeadObject'
  | 'ListMultipartUploads'
  | 'ListObjectsV2'
  | 'PutObject'
  | 'UploadPart'

type S3Package = Record<string, new (input: unknown) => any>

const connectMs = 5_000
/** A socket on which nothing moves for so long is given up; whole calls have the caller's deadline. */
const idleMs = 30_000

interface Connected {
  readonly package: S3Package
  readonly client: S3ClientLike
}

export class S3Caller {
  readonly #options: S3ClientOptions
  #connected: Promise<Connected> | null = null
  #closed = false

  constructor(options: S3ClientOptions) {
    this.#options = options
  }

  /**
   * Answers what S3 answers; null for the errors named in `absent`.
   *
   * @throws FF_FILES_UNAVAILABLE, FF_CORE_PACKAGE_MISSING, FF_CORE_CLOSED
   */
  async send(
    operation: S3Operation,
    input: object,
    signal: AbortSignal,
    absent: readonly string[] = [],
  ): Promise<Record<string, unknown> | null> {
    if (this.#closed) throw new FourfoldError('FF_CORE_CLOSED', 'The files are closed: open the app again')
    const { package: s3, client } = await (this.#connected ??= this.#connect())
    const Command = s3[`${operation}Command`] as new (input: unknown) => unknown
    try {
      return (await client.send(new Command(input), { abortSignal: signal })) as Record<string, unknown>
    } catch (error) {
      if (error instanceof Error && absent.includes(error.name)) return null
      throw unavailable(operation, input, error)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#options.client !== undefined || this.#connected === null) return
    const connected = await this.#connected.catch(() => null)
    connected?.client.destroy()
  }

  async #connect(): Promise<Connected> {
    const s3 = await loadPackage()
    const { client, region, endpoint, accessKeyId, secretAccessKey } = this.#options
    if (client !== undefined) return { package: s3, client }
    const Client = s3['S3Client'] as new (input: unknown) => S3ClientLike
    const own = new Client({
      ...(region !== undefined || endpoint !== undefined ? { region: region ?? 'us-east-1' } : {}),
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      ...(accessKeyId === undefined ? {} : { credentials: { accessKeyId, secretAccessKey: secretAccessKey ?? '' } }),
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: connectMs,
        requestTimeout: idleMs,
        throwOnRequestTimeout: true,
        socketTimeout: idleMs,
      },
    })
    return { package: s3, client: own }
  }
}

function unavailable(operation: S3Operation, input: object, cause: unknown): FourfoldError {
  const {
    name = 'an error',
    message = '',
    $metadata,
  } = cause as { name?: string; message?: string; $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode
  const bucket = (input as { Bucket?: string }).Bucket
  const hint =
    status === 403 ? '; the key needs GetObject, PutObject, DeleteObject, ListBucket and the multipart calls' : ''
  const answer = `${name}${status === undefined ? '' : ` (${status})`}: ${message}${hint}`
  return new FourfoldError('FF_FILES_UNAVAILABLE', `S3 did not do ${operation} in the bucket ${bucket}: ${answer}`, {
    cause,
    fields: { operation, bucket, status },
  })
}

async function loadPackage(): Promise<S3Package> {
  try {
    return (await import('@aws-sdk/client-s3')) as unknown as S3Package
  } catch (error) {
    const message = 'files in S3 need the package "@aws-sdk/client-s3": npm install @aws-sdk/client-s3'
    throw new FourfoldError('FF_CORE_PACKAGE_MISSING', message, { cause: error })
  }
}
