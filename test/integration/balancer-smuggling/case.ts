/** What a case of the tables says. */

export interface Case {
  readonly name: string
  /** Where it is from: an RFC, published research, or the flaw of another server or proxy. */
  readonly source: string
  /** As latin1. Several pieces: each is sent when the clone has what came before it. */
  readonly bytes: string | readonly string[]
  readonly expect: Expectation
}

export type Expectation =
  /** Answered with this status, the connection closed, and no byte sent to a clone. */
  | { readonly refused: number }
  /** The clone is sent exactly these, and each is answered. */
  | { readonly forwarded: readonly Forwarded[] }
  /** The beginning went to the clone before the fault came; then both connections are closed. */
  | { readonly cut: true }

export interface Forwarded {
  /** The method and the target. */
  readonly line: string
  /** Default: none. */
  readonly body?: string
  /** All values of a header, in order; empty: it is not sent. */
  readonly headers?: Readonly<Record<string, readonly string[]>>
}

/** What an attacker would like a clone to take for a request of its own. */
export const behind = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

export const post = 'POST /case HTTP/1.1\r\nHost: a\r\n'
export const get = 'GET /case HTTP/1.1\r\nHost: a\r\n'

export const refused: Expectation = { refused: 400 }

/** One request, with what it should be. */
export function forwarded(
  line: string,
  body = '',
  headers: Readonly<Record<string, readonly string[]>> = {},
): Expectation {
  return { forwarded: [{ line, body, headers }] }
}
