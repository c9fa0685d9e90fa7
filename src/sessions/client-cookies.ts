/** Which cookies of a request are ours, under either of their names, and whether there are others. */

import { cookieName } from './cookies.ts'
import { pinCookieName, readerCookie } from './presented-reader.ts'

export interface ClientCookies {
  readonly session: string | null
  readonly reader: string | null
  readonly pinned: boolean
  /** One of ours is there twice: which counts hangs on the connection. */
  readonly twice: boolean
  /** There are others, which are not to be ignored. */
  readonly foreign: boolean
}

export interface CookieNames {
  read(header: string): ClientCookies
}

type Ours = 'session' | 'reader' | 'pin' | 'other'

/** Says which build a browser was shown in a rollout. */
const buildCookieName = 'ff_build'
/** Set by the script in the browser that fills in the personal parts of pages (`fourfold/client`). */
const fragmentsCookieName = 'ff_fragments'

export function createCookieNames(sessionName: string, ignored: readonly string[]): CookieNames {
  const ours = new Map<string, Ours>()
  for (const secure of [false, true]) {
    ours.set(cookieName(buildCookieName, secure), 'other')
    ours.set(fragmentsCookieName, 'other')
    ours.set(cookieName(pinCookieName, secure), 'pin')
    ours.set(cookieName(readerCookie, secure), 'reader')
    ours.set(cookieName(sessionName, secure), 'session')
  }
  const names = new Set(ignored.filter((name) => !name.endsWith('*')))
  const beginnings = ignored.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))
  const isIgnored = (name: string): boolean =>
    names.has(name) || beginnings.some((beginning) => name.startsWith(beginning))

  return {
    read: (header) => {
      const values: { session: string | null; reader: string | null } = { session: null, reader: null }
      const found = { pinned: false, twice: false, foreign: false }
      for (const pair of header.split(';')) {
        const equals = pair.indexOf('=')
        const name = (equals < 0 ? pair : pair.slice(0, equals)).trim()
        if (name === '') continue
        const kind = equals < 0 ? undefined : ours.get(name)
        if (kind === 'pin') found.pinned = true
        else if (kind === 'session' || kind === 'reader') {
          found.twice ||= values[kind] !== null
          values[kind] = pair.slice(equals + 1).trim()
        } else if (kind === undefined && !isIgnored(name)) found.foreign = true
      }
      return { ...values, ...found }
    },
  }
}
