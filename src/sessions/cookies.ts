/**
 * The cookies that Fourfold sets: HttpOnly, SameSite=Lax, Path=/. Over TLS they are Secure and carry the `__Host-`
 * prefix (RFC 6265bis), which no sub-domain and no plain connection can set: there only the prefixed name is read.
 */

export interface CookieOptions {
  /** Whether the browser came over TLS. */
  readonly secure: boolean
  /** Seconds; 0 takes the cookie away. */
  readonly maxAgeSeconds: number
}

/** The name a cookie has on this connection. */
export function cookieName(name: string, secure: boolean): string {
  return secure ? `__Host-${name}` : name
}

/** A Set-Cookie header. The value must consist of characters that need no quoting: ours are base64url and dots. */
export function serializeCookie(name: string, value: string, options: CookieOptions): string {
  const secure = options.secure ? '; Secure' : ''
  const maxAge = Math.max(0, Math.ceil(options.maxAgeSeconds))
  return `${cookieName(name, options.secure)}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`
}

/** One cookie out of a Cookie header, or null. Where a name stands twice, the first counts, as browsers order them. */
export function readCookie(header: string | undefined, name: string): string | null {
  if (header === undefined) return null
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return null
}
