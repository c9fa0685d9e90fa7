/** How each kind of edge is told to drop what carries some keys: what is sent, as plain data, and what an answer means. */

export interface EdgeSettings {
  readonly kind: 'varnish' | 'fastly' | 'cloudflare' | 'http'
  /** Where purges go. */
  readonly urls: readonly string[]
  readonly token?: string | undefined
  /** The method of kind `http`. */
  readonly method?: string | undefined
  /** The header that names the keys to purge, of kinds `varnish` and `http`. */
  readonly keyHeader?: string | undefined
  /** Whether what is purged may be served once more while it is fetched anew. For Fastly. */
  readonly soft?: boolean | undefined
}

export interface PurgeRequest {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/** How many keys each takes in one request. */
export const keysAtOnce: Readonly<Record<EdgeSettings['kind'], number>> = {
  varnish: 100,
  fastly: 256,
  cloudflare: 30,
  http: 100,
}

/** The headers of pages that each looks for. */
export const keyHeaders: Readonly<Record<EdgeSettings['kind'], readonly string[]>> = {
  varnish: ['xkey'],
  fastly: ['Surrogate-Key'],
  cloudflare: ['Cache-Tag'],
  http: ['Surrogate-Key'],
}

export function purgeRequest(settings: EdgeSettings, url: string, keys: readonly string[]): PurgeRequest {
  const { kind, token, method = 'PURGE', soft = false } = settings
  const json = { 'content-type': 'application/json', accept: 'application/json' }
  if (kind === 'fastly') {
    const headers = { ...json, ...(token && { 'fastly-key': token }), ...(soft && { 'fastly-soft-purge': '1' }) }
    return { url, method: 'POST', headers, body: JSON.stringify({ surrogate_keys: keys }) }
  }
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  if (kind === 'cloudflare') {
    return { url, method: 'POST', headers: { ...json, ...authorization }, body: JSON.stringify({ tags: keys }) }
  }
  const keyHeader = settings.keyHeader ?? (kind === 'varnish' ? 'xkey-purge' : 'surrogate-key')
  const headers = { ...authorization, [keyHeader.toLowerCase()]: keys.join(' ') }
  return { url, method: kind === 'varnish' ? 'PURGE' : method, headers, body: null }
}

/** Sends it; resolves when the edge has said that it is done. Errors name neither the token nor a password. */
export async function sendPurge(kind: EdgeSettings['kind'], request: PurgeRequest, timeoutMs: number): Promise<void> {
  const { method, headers, body } = request
  const { href, authorization } = withoutPassword(request.url)
  const answer = await fetch(href, {
    method,
    headers: { ...authorization, ...headers },
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${href} answered ${answer.status} to ${method}: ${text.slice(0, 200)}`)
  // Cloudflare can refuse with a 200.
  if (kind === 'cloudflare' && !text.replaceAll(/\s/g, '').includes('"success":true')) {
    throw new Error(`${href} did not purge: ${text.slice(0, 200)}`)
  }
}

/** `fetch` takes no addresses with a password in them. */
function withoutPassword(address: string): { readonly href: string; readonly authorization: Record<string, string> } {
  const url = new URL(address)
  const { username, password } = url
  if (username === '' && password === '') return { href: url.href, authorization: {} }
  url.username = ''
  url.password = ''
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { href: url.href, authorization: { authorization: `Basic ${Buffer.from(text).toString('base64')}` } }
}
