/**
 * `req.ff`: the app's instance for this request's reader, and what its answer must carry. Made once a request, by
 * whichever middleware comes first; the session middleware ties its session to it.
 */

import type { Fourfold } from '../../app/fourfold.ts'
import type { Head } from '../held-response.ts'
import type { Level } from '../../freshness/level.ts'
import { addAnswer, RequestContext } from '../request-context.ts'
import type { SessionBond } from './fourfold-store.ts'
import type { ExpressRequest } from './request-cookie.ts'

export type LevelOption = Level | ((request: any) => Level | undefined) | undefined

/** What has to be done before an answer's headers go out. */
export type Finish = (statusCode: number, head: Head) => Promise<void> | undefined

const partKey = Symbol('fourfold.request')

export class RequestPart {
  readonly bond: SessionBond
  readonly #context: RequestContext<Fourfold<any>>
  #claimed = false

  constructor(request: ExpressRequest, ff: Fourfold<any>, level: LevelOption) {
    this.bond = {
      reader: null,
      handedOver: false,
      newReader: () => this.#context.newReader(),
      beforeHandover: () => this.#context.beforeHandover(),
    }
    this.#context = new RequestContext<Fourfold<any>>({
      host: ff,
      raw: request,
      kept: this.bond,
      identify: ff.identify === undefined ? undefined : () => ff.identify?.(request as any),
      level: () => (typeof level === 'function' ? level(request) : level),
    })
  }

  get ff(): Fourfold<any> {
    return this.#context.ff
  }

  /** For whoever holds the answer; undefined where somebody does already. */
  claimAnswer(): Finish | undefined {
    if (this.#claimed) return undefined
    this.#claimed = true
    return (statusCode, head) => addAnswer(this.#context, statusCode, head)
  }
}

/** Gives a request its `ff`, if it has none yet. */
export function giveInstance(request: ExpressRequest, ff: Fourfold<any>, level: LevelOption): RequestPart {
  const known = (request as { [partKey]?: RequestPart })[partKey]
  if (known !== undefined) return known
  const part = new RequestPart(request, ff, level)
  Object.defineProperty(request, partKey, { value: part })
  Object.defineProperty(request, 'ff', { configurable: true, get: () => part.ff })
  return part
}
