/**
 * The certificate of the balancer, from two files, and again whenever they change: whoever renews them has nothing to
 * restart. A pair that cannot be used is reported and changes nothing, for example while only one file is written yet.
 */

import { readFile } from 'node:fs/promises'
import type { Server as TlsServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import { FourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'

export interface CertificateFiles {
  /** Path of the certificate and what signed it, in PEM. */
  readonly cert: string
  /** Path of its private key, in PEM. */
  readonly key: string
}

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** @throws FF_BALANCER_CERTIFICATE if a file cannot be read, is no PEM, or the two do not belong together */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  try {
    const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)])
    createSecureContext({ cert, key })
    return { cert, key }
  } catch (error) {
    const message = `balancer.tls: cannot use ${files.cert} with ${files.key}: ${(error as Error).message}. Expected a certificate and its private key, both as PEM`
    throw new FourfoldError('FF_BALANCER_CERTIFICATE', message, { cause: error, fields: { ...files } })
  }
}

export interface FollowOptions {
  readonly files: CertificateFiles
  /** What the server uses now. */
  readonly current: Certificate
  readonly log: Logger
  /** How often the files are looked at. Default: 5,000. */
  readonly everyMs?: number
}

/** Gives new connections what the files hold; those that are open keep what they began with. The result ends it. */
export function followCertificate(
  server: TlsServer,
  { files, current, log, everyMs = 5000 }: FollowOptions,
): () => void {
  let used = current
  let complaint = ''
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const look = async (): Promise<void> => {
    try {
      const found = await readCertificate(files)
      if (stopped) return
      complaint = ''
      if (found.cert.equals(used.cert) && found.key.equals(used.key)) return
      server.setSecureContext(found)
      used = found
      log.info({ ...files }, 'the certificate has changed: new connections get the new one')
    } catch (error) {
      const { message } = error as Error
      // Once, and not at every look.
      if (message !== complaint)
        log.error({ error }, 'the certificate has changed and cannot be used; the old one stays')
      complaint = message
    }
  }
  const again = (): void => {
    timer = setTimeout(() => void look().finally(() => stopped || again()), everyMs)
    timer.unref()
  }
  again()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
