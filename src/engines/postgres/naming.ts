/** Names for statements, so that a server reads and plans each once a connection. */

import { createHash } from 'node:crypto'

import { sqlState } from './client.ts'

/**
 * The first that a transaction pooler leads to a server which does not know its name ends that for all; it had no effect
 * and is sent again. A name is a digest of its text: whoever made it on that server meant the same statement.
 */
export class Naming {
  private on = true
  private readonly names = new Map<string, string>()

  nameOf(text: string): string | undefined {
    if (!this.on) return undefined
    let name = this.names.get(text)
    if (name === undefined) {
      name = `fourfold_${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`
      this.names.set(text, name)
    }
    return name
  }

  end(): void {
    this.on = false
  }
}

/** Not there, or there already: a pooler's other connection. */
export function isUnknownName(error: unknown): boolean {
  const state = sqlState(error)
  return state === '26000' || state === '42P05'
}

/** Sends a statement that is no part of a transaction by its name, and without one where that is not known. */
export async function sendNamed<T>(
  naming: Naming,
  text: string,
  send: (name: string | undefined) => Promise<T>,
): Promise<T> {
  const name = naming.nameOf(text)
  try {
    return await send(name)
  } catch (error) {
    if (name === undefined || !isUnknownName(error)) throw error
    naming.end()
    return await send(undefined)
  }
}
