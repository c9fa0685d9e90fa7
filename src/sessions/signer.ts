/**
 * Signs what goes to a client and comes back: session ids, reader keys, pins. HMAC-SHA256 over purpose and value, so
 * that a value signed for one purpose is worthless for another. The first secret signs; every secret verifies, so
 * that a secret can be replaced without ending anybody's session.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { FourfoldError } from '../core/errors.ts'

export type SignedPurpose = 'session' | 'reader' | 'pin'

export interface Verified {
  readonly value: string
  /** Whether it was signed with the first secret. If not, it is due to be signed again. */
  readonly current: boolean
}

export interface Signer {
  /** `value.signature`. The value may hold any characters that a cookie may. */
  sign(purpose: SignedPurpose, value: string): string
  /** The value, or null for a text that no secret has signed for this purpose. */
  verify(purpose: SignedPurpose, signed: string): Verified | null
}

/** Shorter secrets can be guessed offline from one cookie. */
export const minSecretLength = 32

/** The longest text that is looked at: browsers keep no longer cookies. */
const maxSignedLength = 4096

/**
 * Makes a signer.
 *
 * @throws FF_SESSION_SECRETS_MISSING for an empty list, FF_SESSION_SECRETS_WEAK for a secret under 32 characters.
 */
export function createSigner(secrets: readonly string[]): Signer {
  const [first] = secrets
  if (first === undefined) throw missingSecrets()
  secrets.forEach(refuseWeakSecret)
  return {
    sign: (purpose, value) => `${value}.${signature(first, purpose, value).toString('base64url')}`,
    verify: (purpose, signed) => {
      const dot = signed.lastIndexOf('.')
      if (dot <= 0 || signed.length > maxSignedLength) return null
      const value = signed.slice(0, dot)
      const given = Buffer.from(signed.slice(dot + 1), 'base64url')
      const found = secrets.findIndex((secret) => equal(signature(secret, purpose, value), given))
      return found === -1 ? null : { value, current: found === 0 }
    },
  }
}

export function missingSecrets(): FourfoldError {
  return new FourfoldError(
    'FF_SESSION_SECRETS_MISSING',
    `sessions.secrets: expected a list of at least one secret of ${minSecretLength} characters or more, got none. In ` +
      'production set FOURFOLD_SECRETS (comma separated; the first signs, all verify), the same on every host, for ' +
      'example to the output of: openssl rand -base64 48',
  )
}

function refuseWeakSecret(secret: string, index: number): void {
  if (secret.length >= minSecretLength) return
  throw new FourfoldError(
    'FF_SESSION_SECRETS_WEAK',
    `sessions.secrets[${index}]: expected at least ${minSecretLength} characters, got ${secret.length}`,
  )
}

function signature(secret: string, purpose: SignedPurpose, value: string): Buffer {
  return createHmac('sha256', secret).update(`${purpose}\n${value}`).digest()
}

function equal(expected: Buffer, given: Buffer): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given)
}
