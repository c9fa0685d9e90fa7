/** Sessions in this process's own memory, each as one text: for tests of stores and of apps, never for clones. */

import type { Session } from './session-object.ts'
import { Store, type Done, type Found, type StoredSession } from './store.ts'

export class MemoryStore extends Store {
  sessions: Record<string, string> = Object.create(null)

  override get(id: string, found: Found): void {
    const session = this.#read(id)
    setImmediate(found, null, session)
  }

  override set(id: string, session: Session | StoredSession, done?: Done): void {
    this.sessions[id] = JSON.stringify(session)
    if (done !== undefined) setImmediate(done)
  }

  override touch(id: string, session: Session | StoredSession, done?: Done): void {
    const held = this.#read(id)
    if (held !== undefined) this.sessions[id] = JSON.stringify({ ...held, cookie: session.cookie })
    if (done !== undefined) setImmediate(done)
  }

  override destroy(id: string, done?: Done): void {
    delete this.sessions[id]
    if (done !== undefined) setImmediate(done)
  }

  override all(found?: (error: null, sessions: Record<string, StoredSession>) => void): void {
    const held: Record<string, StoredSession> = Object.create(null)
    for (const id of Object.keys(this.sessions)) {
      const session = this.#read(id)
      if (session !== undefined) held[id] = session
    }
    if (found !== undefined) setImmediate(found, null, held)
  }

  override length(counted: (error: null, length: number) => void): void {
    this.all((_, sessions) => counted(null, Object.keys(sessions).length))
  }

  override clear(done?: Done): void {
    this.sessions = Object.create(null)
    if (done !== undefined) setImmediate(done)
  }

  #read(id: string): StoredSession | undefined {
    const text = this.sessions[id]
    if (text === undefined) return undefined
    const session = JSON.parse(text) as StoredSession
    const expires = session.cookie?.expires
    if (!expires || new Date(expires).getTime() > Date.now()) return session
    delete this.sessions[id]
    return undefined
  }
}
