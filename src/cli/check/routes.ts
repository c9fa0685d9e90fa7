/**
 * Which clone answers which request. No single way to spread requests finds everything: where clones take turns, a page
 * kept in memory by the first is asked of the third after the second has changed it; where reads and writes have clones
 * of their own, it is asked of the first again.
 */

export interface RouteStep {
  readonly user: string
  readonly method: string
}

export interface Route {
  readonly name: string
  /** The clone for the next request, counted from 1. */
  next(step: RouteStep): number
}

/** Everything is answered by the only clone. */
export const singleRoute = (): Route => ({ name: 'one clone', next: () => 1 })

/** The way of the run with this number, counted from 0; each is new, since it counts. */
export function createRoute(run: number, clones: number): Route {
  if (run === 0) return { name: 'clones take turns', next: perUser((user, nth) => 1 + ((user + nth) % clones)) }
  if (run === 1) return { name: 'reads apart from writes', next: ({ method }) => (isRead(method) ? 1 : clones) }
  if (run === 2) return { name: 'back and forth', next: perUser((user, nth) => clones - ((user + nth + 1) % 2)) }
  return { name: `at random, ${run - 2}`, next: atRandom(run, clones) }
}

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD' || method === 'OPTIONS'

/** Counts each user's requests, and the users. */
function perUser(choose: (user: number, nth: number) => number): Route['next'] {
  const users = new Map<string, { readonly number: number; requests: number }>()
  return ({ user }) => {
    const known = users.get(user) ?? { number: users.size, requests: 0 }
    users.set(user, known)
    return choose(known.number, known.requests++)
  }
}

/** Never the clone that answered the user before. The same every time, so that what was found is found again. */
function atRandom(seed: number, clones: number): Route['next'] {
  const before = new Map<string, number>()
  let state = seed
  return ({ user }) => {
    // mulberry32 (Tommy Ettinger, public domain).
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    const others = Array.from({ length: clones }, (_, index) => index + 1).filter((clone) => clone !== before.get(user))
    const chosen = others[((mixed ^ (mixed >>> 14)) >>> 0) % others.length] ?? 1
    before.set(user, chosen)
    return chosen
  }
}
