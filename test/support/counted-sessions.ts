/** Sessions over a store in this process that writes down its calls, and fails where it is told to. */

import assert from 'node:assert/strict'
import { FourfoldError, isFourfoldError, type ErrorCode } from '../../src/core/errors.ts'
import type { Session } from '../../src/sessions/session.ts'
import { createSessions, type Sessions, type SessionsOptions } from '../../src/sessions/sessions.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Store } from '../../src/store/store.ts'

import type { TestContext } from 'node:test'

export const secret = 'a secret of at least thirty-two characters'

interface Counted extends Store {
  calls: string[]
  down: boolean
}

/** The store, with its calls written down, and a switch that makes it fail. */
export function openCounted(t: TestContext): Counted {
  const store = openMemoryStore()
  t.after(() => store.close())
  const counted = { calls: [] as string[], down: false }
  return new Proxy(counted as Counted, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name)
      const member = Reflect.get(store, name)
      if (typeof member !== 'function') return member
      return (...values: unknown[]) => {
        target.calls.push(String(name))
        if (target.down) return Promise.reject(new FourfoldError('FF_STORE_UNAVAILABLE', 'planted'))
        return member.apply(store, values)
      }
    },
  })
}

export function open(t: TestContext, options: Partial<SessionsOptions> = {}): { store: Counted; sessions: Sessions } {
  const store = openCounted(t)
  return { store, sessions: createSessions({ store, secrets: [secret], ...options }) }
}

export function cookieOf(session: Session): string {
  const header = session.cookieToSet()
  assert.ok(header !== null, 'expected a cookie')
  return header.slice(header.indexOf('=') + 1, header.indexOf(';'))
}

export async function begin(sessions: Sessions, values: Record<string, unknown> = { user: 7 }): Promise<string> {
  const session = sessions.open(null)
  for (const [key, value] of Object.entries(values)) session.set(key, value)
  await session.save()
  return cookieOf(session)
}

export function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => isFourfoldError(error, code)
}
