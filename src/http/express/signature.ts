/**
 * The signature that Express puts on cookies, `value.base64(HMAC-SHA256)` as cookie-signature writes it: sessions that
 * express-session began go on here, and back.
 */

import { createHmac, timingSafeEqual, type BinaryLike } from 'node:crypto'

export type Secret = string | BinaryLike

export function sign(value: string, secret: Secret): string {
  return `${value}.${signature(value, secret)}`
}

/** The value, if one of the secrets has signed it. */
export function unsign(signed: string, secrets: readonly Secret[]): string | undefined {
  const value = signed.slice(0, signed.lastIndexOf('.'))
  const given = Buffer.from(signed)
  const fits = secrets.some((secret) => {
    const expected = Buffer.from(sign(value, secret))
    return expected.length === given.length && timingSafeEqual(expected, given)
  })
  return fits ? value : undefined
}

function signature(value: string, secret: Secret): string {
  return createHmac('sha256', secret as BinaryLike)
    .update(value)
    .digest('base64')
    .replace(/=+$/, '')
}
