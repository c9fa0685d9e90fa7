/**
 * Synchroniser tokens (OWASP): a random secret lies in the session, and each form gets another text that proves it,
 * so that compressed pages do not give it away (BREACH).
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Where the secret lies in the session. */
export const csrfKey = 'ff:csrf'

const saltLength = 16

export function newCsrfSecret(): string {
  return randomBytes(24).toString('base64url')
}

export function makeToken(secret: string): string {
  const salt = randomBytes(12).toString('base64url')
  return salt + proofOf(secret, salt)
}

export function isToken(secret: string, token: string): boolean {
  const given = Buffer.from(token.slice(saltLength))
  const expected = Buffer.from(proofOf(secret, token.slice(0, saltLength)))
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function proofOf(secret: string, salt: string): string {
  return createHmac('sha256', secret).update(salt).digest('base64url')
}
