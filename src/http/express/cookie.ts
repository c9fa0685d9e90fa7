/**
 * The session's cookie as Express apps know it: `req.session.cookie`. It remembers the age that it was given, so that
 * each use of the session can begin that time anew, and it goes into the store beside the session's data.
 */

import { serialize } from 'cookie'

/** What a Set-Cookie header may say beside name and value. */
export interface CookieOptions {
  /** Milliseconds that the cookie lives. Default: as long as the browser runs. */
  readonly maxAge?: number | null
  readonly expires?: Date | null
  /** Default: true. */
  readonly httpOnly?: boolean
  /** Default: `'/'`. Requests outside of it have no session. */
  readonly path?: string
  readonly domain?: string
  /** `'auto'`: whether this request came over TLS. */
  readonly secure?: boolean | 'auto'
  /** `'auto'`: `none` over TLS, else `lax`. */
  readonly sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto'
  readonly priority?: 'low' | 'medium' | 'high'
  readonly partitioned?: boolean
}

/** A cookie as it goes into the store. */
export interface CookieData {
  originalMaxAge: number | null
  expires: Date | string | null
  secure?: boolean | 'auto'
  httpOnly?: boolean
  path?: string
  domain?: string
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto'
  priority?: 'low' | 'medium' | 'high'
  partitioned?: boolean
}

type Serializable = Parameters<typeof serialize>[2]

export class Cookie {
  path: string
  httpOnly: boolean
  domain?: string
  secure?: boolean | 'auto'
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto'
  priority?: 'low' | 'medium' | 'high'
  partitioned?: boolean
  /** The age that each use of the session begins anew. Null: the cookie lives as long as the browser runs. */
  originalMaxAge: number | null
  private _expires: Date | null = null

  /** Takes options or what {@link Cookie.toJSON} gave. Of `maxAge` and `expires` the later one counts. */
  constructor(options?: CookieOptions | CookieData | null) {
    this.path = '/'
    this.httpOnly = true
    this.originalMaxAge = null
    if (options === undefined || options === null) return
    if (typeof options !== 'object') throw new TypeError('argument options must be a object')
    const { originalMaxAge } = options as CookieData
    for (const [name, value] of Object.entries(options)) if (name !== 'data') Object.assign(this, { [name]: value })
    this.originalMaxAge = originalMaxAge ?? this.maxAge
  }

  get expires(): Date | null {
    return this._expires
  }

  set expires(date: Date | null) {
    this._expires = date
    this.originalMaxAge = this.maxAge
  }

  /** Milliseconds that are left. */
  get maxAge(): number | null {
    return this._expires instanceof Date ? this._expires.getTime() - Date.now() : this._expires
  }

  set maxAge(age: number | Date | null | undefined) {
    if (Boolean(age) && typeof age !== 'number' && !(age instanceof Date))
      throw new TypeError('maxAge must be a number or Date')
    this.expires = typeof age === 'number' ? new Date(Date.now() + age) : (age as Date | null)
  }

  /** What goes into the store and into the header. */
  get data(): CookieData {
    return {
      originalMaxAge: this.originalMaxAge,
      partitioned: this.partitioned,
      priority: this.priority,
      expires: this._expires,
      secure: this.secure,
      httpOnly: this.httpOnly,
      domain: this.domain,
      path: this.path,
      sameSite: this.sameSite,
    }
  }

  /** The Set-Cookie header for this name and value. */
  serialize(name: string, value: string): string {
    return serialize(name, value, this.data as Serializable)
  }

  toJSON(): CookieData {
    return this.data
  }
}
