/**
 * What the apps of the sessions benchmark have in common. Each has the same five pages on its own framework:
 * `/login`, `/read`, `/write?key=a&ms=20` (reads the session, works for so long, writes one key), `/logout`, and
 * `/keys` (which keys there are).
 */

export const secret = 'a secret of thirty-two characters'
export const cookieName = 'bench_session'

/** A row of signs as sessions hold them: a cart, a language, a message. */
export const payload = 'p'.repeat(400)

export function work(ms = ''): Promise<void> {
  const time = Number(ms)
  return time === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, time))
}

/** Tells the parent the port, and ends with it. */
export function tellPort(port: number): void {
  process.once('disconnect', () => process.exit())
  process.send?.({ port })
}
