/**
 * Who the reader of a request is: the user, by their token or by their session, so that whatever someone wrote through
 * the API they see on the pages, and the other way round. The reader's key is no proof of identity, it only says
 * whose writes an answer must show; so the token's signature is not checked here, but where something is granted.
 */
import { decodeJwt } from 'jose'
import type { IncomingRequest } from 'fourfold'
import { readerKey } from './requests.ts'
import { tokenIn } from './tokens.ts'

export async function identify({ headers, session }: IncomingRequest): Promise<string | null> {
  const { authorization } = headers
  const token = tokenIn(typeof authorization === 'string' ? authorization : undefined)
  const userId = token === null ? await session.get('userId') : userNamedBy(token)
  return typeof userId === 'number' && Number.isSafeInteger(userId) && userId > 0 ? readerKey(userId) : null
}

function userNamedBy(token: string): number | null {
  try {
    return Number(decodeJwt(token).sub)
  } catch {
    return null
  }
}
