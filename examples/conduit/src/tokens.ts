/**
 * The API's tokens: signed JWTs that name a user. The first secret signs; all of them verify, so that a secret can
 * be replaced without logging anyone out. Each secret is stretched into a key of its own for this purpose, so that
 * a token can never pass for a session cookie signed with the same secret.
 */
import { hkdfSync, webcrypto } from 'node:crypto'
import { SignJWT, jwtVerify } from 'jose'

export interface Tokens {
  sign(userId: number): Promise<string>
  /** The user a token names, or null if it is not one of ours, altered, or too old. */
  verify(token: string): Promise<number | null>
}

const ISSUER = 'conduit'
const LIFETIME = '60d'

export function createTokens(secrets: readonly string[]): Tokens {
  const keys = secrets.map(importKey)
  const [signingKey] = keys
  if (!signingKey) throw new Error('conduit: the app has no secret to sign tokens with (expected sessions.secrets)')
  return {
    sign: async (userId) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(String(userId))
        .setIssuer(ISSUER)
        .setIssuedAt()
        .setExpirationTime(LIFETIME)
        .sign(await signingKey),
    verify: async (token) => {
      for (const key of keys) {
        const userId = await verifyWith(await key, token)
        if (userId !== null) return userId
      }
      return null
    },
  }
}

/** Once, and not for each token. */
function importKey(secret: string): Promise<webcrypto.CryptoKey> {
  const bytes = hkdfSync('sha256', secret, '', 'conduit api token', 32)
  return webcrypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])
}

async function verifyWith(key: webcrypto.CryptoKey, token: string): Promise<number | null> {
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], issuer: ISSUER, requiredClaims: ['exp'] })
    return /^[1-9]\d{0,9}$/.test(payload.sub ?? '') ? Number(payload.sub) : null
  } catch {
    return null
  }
}

/** The token in an `Authorization: Token <jwt>` header, or null if the header is not there or of another scheme. */
export function tokenIn(header: string | undefined): string | null {
  return /^token +(\S.*?) *$/i.exec(header ?? '')?.[1] ?? null
}
