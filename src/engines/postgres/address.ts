/**
 * Addresses of PostgreSQL servers, as plain values that travel to child processes as JSON.
 *
 * A URL is read as libpq reads it. What `pg` cannot honour (falling back to plain text, choosing among hosts) is a
 * named error, never a guess: `sslmode=prefer` would silently mean either more or less than the user asked for.
 */

import { readFileSync } from 'node:fs'

import { FourfoldError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact-url.ts'

export interface PostgresTls {
  /** Whether the server's certificate must be valid for its name. Default true. */
  readonly rejectUnauthorized?: boolean
  /** Certificates in PEM form. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

export interface PostgresAddress {
  /** A name, an IP address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password?: string
  /** False or absent: no TLS. */
  readonly ssl?: boolean | PostgresTls
  readonly application_name?: string
  /** Settings given at connection, as in libpq: `-c search_path=app`. */
  readonly options?: string
  readonly enableChannelBinding?: boolean
}

type Mutable = { -readonly [Key in keyof PostgresAddress]?: PostgresAddress[Key] }

/**
 * The address in a URL such as `postgres://user:password@host:5432/database?sslmode=verify-full`.
 *
 * @param tls pg's TLS options; they win over the URL's
 * @param path where the URL was configured, for messages: `databases.main.url`
 * @throws FF_ENGINE_ADDRESS
 */
export function addressFromUrl(url: string, tls?: boolean | PostgresTls, path = 'url'): PostgresAddress {
  const parsed = parseUrl(url, path)
  const address: Mutable = {
    host: decodeURIComponent(parsed.hostname) || 'localhost',
    port: parsed.port === '' ? 5432 : Number(parsed.port),
    user: decodeURIComponent(parsed.username),
    database: decodeURIComponent(parsed.pathname.slice(1)),
  }
  if (parsed.password !== '') address.password = decodeURIComponent(parsed.password)
  applyParameters(address, parsed.searchParams, path)
  if (tls !== undefined) address.ssl = tls
  if (!address.user)
    throw mistake(path, `names no user (${redactUrl(url)}): write postgres://USER:PASSWORD@HOST/DATABASE`)
  return { ...(address as PostgresAddress), database: address.database || address.user }
}

function parseUrl(url: string, path: string): URL {
  const match = /^postgres(?:ql)?:\/\/([^/?#]*)(.*)$/s.exec(url)
  if (match === null) throw mistake(path, `expected postgres://…, got ${redactUrl(url)}`)
  // `postgres://user@/db?host=/run/postgresql` has no host, which WHATWG's grammar refuses for an address with a user.
  const authority = match[1] === '' || match[1]?.endsWith('@') ? `${match[1]}localhost` : match[1]
  if (authority?.includes(',')) throw mistake(path, 'names several hosts: give one, and the others under replicas')
  try {
    return new URL(`postgres://${authority}${match[2]}`)
  } catch (cause) {
    throw mistake(path, 'is no URL: percent-encode special characters in the password', cause)
  }
}

type Setter = (address: Mutable, value: string, path: string) => void

const parameters: Record<string, Setter> = {
  host: (address, value) => (address.host = value),
  port: (address, value) => (address.port = Number(value)),
  user: (address, value) => (address.user = value),
  password: (address, value) => (address.password = value),
  dbname: (address, value) => (address.database = value),
  application_name: (address, value) => (address.application_name = value),
  options: (address, value) => (address.options = value),
  channel_binding: (address, value) => (address.enableChannelBinding = value !== 'disable'),
  sslmode: (address, value, path) => (address.ssl = tlsOfMode(value, path, address.ssl)),
  sslrootcert: (address, value, path) => addCertificate(address, { ca: readPem(value, path) }),
  sslcert: (address, value, path) => addCertificate(address, { cert: readPem(value, path) }),
  sslkey: (address, value, path) => addCertificate(address, { key: readPem(value, path) }),
  // Deadlines are Fourfold's own (`connectTimeout`); this one only asks for the reading of sslmode we use anyway.
  connect_timeout: () => undefined,
  uselibpqcompat: () => undefined,
}

function applyParameters(address: Mutable, search: URLSearchParams, path: string): void {
  for (const [name, value] of search) {
    const set = parameters[name]
    if (set === undefined) {
      throw mistake(path, `has the unknown parameter "${name}"; known are ${Object.keys(parameters).join(', ')}`)
    }
    set(address, value, path)
  }
  // Files name an authority: then its word must be checked, as libpq does.
  if (typeof address.ssl === 'object' && address.ssl.ca !== undefined) {
    address.ssl = { ...address.ssl, rejectUnauthorized: true }
  }
}

/** libpq's modes. `verify-ca` also checks the name here: leaving that out cannot be written down as a plain value. */
function tlsOfMode(mode: string, path: string, earlier: PostgresAddress['ssl']): PostgresAddress['ssl'] {
  const files = typeof earlier === 'object' ? earlier : {}
  if (mode === 'disable') return false
  if (mode === 'require' || mode === 'no-verify') return { ...files, rejectUnauthorized: false }
  if (mode === 'verify-ca' || mode === 'verify-full') return { ...files, rejectUnauthorized: true }
  throw mistake(
    path,
    `asks for sslmode=${mode}, which would leave open whether the connection is encrypted: choose disable, require or verify-full`,
  )
}

function addCertificate(address: Mutable, part: PostgresTls): void {
  address.ssl = { ...(typeof address.ssl === 'object' ? address.ssl : {}), ...part }
}

function readPem(file: string, path: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw mistake(path, `names the certificate file ${file}, which cannot be read`, cause)
  }
}

function mistake(path: string, text: string, cause?: unknown): FourfoldError {
  return new FourfoldError('FF_ENGINE_ADDRESS', `${path}: ${text}`, { cause, fields: { path } })
}
