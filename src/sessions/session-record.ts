/**
 * How a session stands in the store: one record, one field for each key the app has set (`d:` and the key), and a few
 * of our own (`m:`). The record's key is the SHA-256 of the session's id, so that whoever reads the store cannot take
 * over a session.
 */

import { createHash, randomBytes } from 'node:crypto'
import { FourfoldError } from '../core/errors.ts'
import type { StoreFields } from '../store/store.ts'

/** Our own fields. */
export const metaFields = {
  /** When the session began, in milliseconds since 1970. */
  created: 'm:created',
  /** When the idle limit was last put off. */
  touched: 'm:touched',
  /** The reader this session belongs to. */
  reader: 'm:reader',
  /** Another random value with every write, so that a copy of the record can be checked for being complete. */
  write: 'm:write',
  /** What the app's `identify` answered for what is in this session: a reader's key, or nothing for nobody. */
  identified: 'm:identified',
  /** There is a copy in the store that the app came from, or there was one. */
  copied: 'm:copied',
  /** In what is left of a session for a short time: the key of the record its data moved to, or nothing if it ended. */
  moved: 'm:moved',
} as const

const maxKeyLength = 200

export interface SessionRecord {
  touched: number
  readonly created: number
  readonly reader: string
  readonly copied: boolean
  write: Uint8Array | null
  /** What `identify` answered for this data; null where nobody has noted it. */
  readonly identified: string | null
  /** The app's fields as they are stored, by key. */
  readonly data: Map<string, Uint8Array>
}

/** What a session's cookie says. */
export interface SessionTicket {
  /** 256 random bits. */
  readonly id: string
  readonly reader: string
  readonly created: number
  /** How long this session may be unused, where that is not the limit of all. */
  readonly idleMs?: number
}

export function newTicket(reader: string, created: number): SessionTicket {
  return { id: randomBytes(32).toString('base64url'), reader, created }
}

/** A key for a reader without any other name. */
export function newReaderKey(): string {
  return `anon:${randomBytes(16).toString('base64url')}`
}

export function formatTicket(ticket: SessionTicket): string {
  return [ticket.id, ticket.created.toString(36), Buffer.from(ticket.reader).toString('base64url')].join('.')
}

/** The reverse of {@link formatTicket}. The text was signed by us; null still, if it is from another version. */
export function parseTicket(text: string): SessionTicket | null {
  const [id, created, reader, ...rest] = text.split('.')
  if (id?.length !== 43 || created === undefined || reader === undefined || rest.length > 0) return null
  const createdMs = Number.parseInt(created, 36)
  if (!Number.isSafeInteger(createdMs)) return null
  return { id, created: createdMs, reader: Buffer.from(reader, 'base64url').toString() }
}

export function recordKey(id: string): string {
  return `session:${createHash('sha256').update(id).digest('base64url')}`
}

export function dataField(key: string): string {
  if (typeof key === 'string' && key !== '' && key.length <= maxKeyLength) return `d:${key}`
  throw new FourfoldError(
    'FF_SESSION_VALUE',
    `A session's key is a text of 1 to ${maxKeyLength} characters, got ${JSON.stringify(key)}`,
  )
}

export function parseRecord(fields: StoreFields): SessionRecord {
  const data = new Map<string, Uint8Array>()
  for (const [name, value] of Object.entries(fields)) if (name.startsWith('d:')) data.set(name.slice(2), value)
  return {
    touched: readNumber(fields[metaFields.touched]),
    created: readNumber(fields[metaFields.created]),
    reader: Buffer.from(fields[metaFields.reader] ?? []).toString(),
    copied: fields[metaFields.copied] !== undefined,
    write: fields[metaFields.write] ?? null,
    identified: readText(fields[metaFields.identified]),
    data,
  }
}

export function encodeNumber(value: number): Uint8Array {
  return Buffer.from(String(value))
}

/** @throws FF_SESSION_VALUE for what JSON has no text for: undefined, functions, symbols, big integers, cycles. */
export function encodeValue(key: string, value: unknown): Uint8Array {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw invalidValue(key, value, cause)
  }
  if (text === undefined) throw invalidValue(key, value)
  return Buffer.from(text)
}

/** A fresh copy each time: changing it changes nothing in the session. */
export function decodeValue(bytes: Uint8Array | null | undefined): unknown {
  return bytes === null || bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString())
}

function readText(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes).toString()
}

function readNumber(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : Number(Buffer.from(bytes).toString())
}

function invalidValue(key: string, value: unknown, cause?: unknown): FourfoldError {
  return new FourfoldError(
    'FF_SESSION_VALUE',
    `session.set(${JSON.stringify(key)}, …): expected a value that JSON can hold, got ${typeof value}; to take a key away call unset()`,
    { cause, fields: { key } },
  )
}
