/**
 * A cache bounded by entries that keeps what was used lately.
 *
 * Two generations: new and reused entries stand in the young one; when it is full it becomes the old one, and what
 * nobody used in the meantime goes. A hit among the young costs one look-up and no write, which a strict order of use
 * would cost on the hot path of every statement.
 */
export interface RecentMap<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
  readonly size: number
}

/** Holds at most `maxEntries` (at least 2) and always the `maxEntries / 2` used last. */
export function createRecentMap<Value>(maxEntries: number): RecentMap<Value> {
  const generation = Math.max(1, Math.floor(maxEntries / 2))
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()

  function set(key: string, value: Value): void {
    if (young.size >= generation && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
    old.delete(key)
  }

  function get(key: string): Value | undefined {
    const hit = young.get(key)
    if (hit !== undefined) return hit
    const older = old.get(key)
    if (older !== undefined) set(key, older)
    return older
  }

  return {
    get,
    set,
    get size() {
      return young.size + old.size
    },
  }
}
