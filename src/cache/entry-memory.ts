import type { Entry } from './entry.ts'
import type { EntryMemory } from './lookups.ts'

export function createEntryMemory(): EntryMemory {
  const entries = new Map<string, Entry>()
  return {
    get: (id) => entries.get(id),
    set: (id, entry) => {
      entries.set(id, entry)
      return entry
    },
    handOut: (entry) => entry.value,
  }
}
