/**
 * A script of requests, whatever file it came from. It is the same for every run: what a file leaves open (a new id, the
 * time) is decided when it is read, and only answers of earlier requests are filled in while it is replayed.
 */

import { FourfoldError } from '../../core/errors.ts'

/** Where a text is taken from when the request is sent. */
export type Reference =
  | { readonly kind: 'variable'; readonly name: string }
  /** `path` is a JSON path, `*` for the whole body; for a header its name; for a field of a form its name. */
  | {
      readonly kind: 'answer'
      readonly request: string
      readonly from: Source
      readonly path: string
      /** Whether it is written as in an address. Default: false. */
      readonly encoded?: boolean
    }

export type Source = 'json' | 'body' | 'header' | 'field'

/** A text with open places. */
export type Text = readonly (string | Reference | Uint8Array)[]

export interface Capture {
  readonly name: string
  readonly pattern: RegExp
}

export interface ScriptRequest {
  /** File and line: `requests.http:9`. */
  readonly place: string
  /** What people call it, or empty. */
  readonly title: string
  /** By what later requests refer to its answer. */
  readonly name: string | null
  /** Whose cookies it uses. */
  readonly user: string
  /** Whether it sends and keeps cookies. */
  readonly cookies: boolean
  readonly method: string
  readonly target: Text
  readonly headers: readonly (readonly [name: string, value: Text])[]
  readonly body: Text | null
  readonly captures: readonly Capture[]
}

export interface Script {
  readonly requests: readonly ScriptRequest[]
  /** Looked up when they are used, since they may hold parts of answers. */
  readonly variables: ReadonlyMap<string, Text>
}

/** A mistake in a script. */
export function scriptError(place: string, message: string, cause?: unknown): FourfoldError {
  return new FourfoldError('FF_CHECK_SCRIPT', `${place}: ${message}`, { cause, fields: { place } })
}
