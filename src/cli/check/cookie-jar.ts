/**
 * The cookies of one user. All requests go to one host, so that rules about domains (and a list of public suffixes) have
 * nothing to decide; path, age and deletion are as in RFC 6265.
 */

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
  readonly expiresAt: number
}

export interface CookieJar {
  /** Takes in what an answer to a request for this path sets. */
  keep(setCookies: readonly string[], path: string): void
  /** The header for a request to this path, or null. */
  header(path: string): string | null
}

export function createCookieJar(now: () => number = Date.now): CookieJar {
  const cookies = new Map<string, Cookie>()
  return {
    keep: (setCookies, path) => {
      for (const text of setCookies) {
        const cookie = parseCookie(text, path, now())
        if (cookie === null) continue
        const key = `${cookie.name};${cookie.path}`
        if (cookie.expiresAt <= now()) cookies.delete(key)
        else cookies.set(key, cookie)
      }
    },
    header: (path) => {
      const sent = [...cookies.values()].filter((cookie) => cookie.expiresAt > now() && covers(cookie.path, path))
      // Longer paths first, as servers that read only the first of a name expect.
      sent.sort((a, b) => b.path.length - a.path.length)
      return sent.length === 0 ? null : sent.map(({ name, value }) => `${name}=${value}`).join('; ')
    },
  }
}

function parseCookie(text: string, requestPath: string, now: number): Cookie | null {
  const [pair = '', ...rest] = text.split(';')
  const at = pair.indexOf('=')
  if (at < 1) return null
  const attributes = new Map(rest.map((part) => splitAttribute(part)))
  const given = attributes.get('path') ?? ''
  const maxAge = attributes.get('max-age')
  const expires = Date.parse(attributes.get('expires') ?? '')
  const seconds = maxAge === undefined || !/^-?\d+$/.test(maxAge) ? null : Number(maxAge)
  return {
    name: pair.slice(0, at).trim(),
    value: pair.slice(at + 1).trim(),
    path: given.startsWith('/') ? given : folderOf(requestPath),
    expiresAt: seconds !== null ? now + seconds * 1000 : Number.isNaN(expires) ? Infinity : expires,
  }
}

function splitAttribute(part: string): [name: string, value: string] {
  const at = part.indexOf('=')
  const name = at < 0 ? part : part.slice(0, at)
  return [name.trim().toLowerCase(), at < 0 ? '' : part.slice(at + 1).trim()]
}

function folderOf(path: string): string {
  const end = path.lastIndexOf('/')
  return end < 1 ? '/' : path.slice(0, end)
}

function covers(cookiePath: string, path: string): boolean {
  if (path === cookiePath) return true
  return path.startsWith(cookiePath) && (cookiePath.endsWith('/') || path[cookiePath.length] === '/')
}
