/** The reader that a client names by a signed cookie or header: whose freshness tokens its last write moved. */

import type { Signer } from './signer.ts'

export const readerHeader = 'fourfold-reader'
export const readerCookie = 'ff_reader'
/** Whoever has it reads the primary: see FRESHNESS rule 32. */
export const pinCookieName = 'ff_pin'

export function signReader(signer: Signer, reader: string): string {
  return signer.sign('reader', Buffer.from(reader).toString('base64url'))
}

/** Null for a text that was not signed here. */
export function verifyReader(signer: Signer, signed: string): string | null {
  const verified = signer.verify('reader', signed)
  return verified === null ? null : Buffer.from(verified.value, 'base64url').toString()
}
