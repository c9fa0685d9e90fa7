/**
 * The tier in each process: entries with decoded values, bounded by bytes over all objects and queries together; the
 * one used least lately goes first (lru-cache).
 *
 * Invariants: no value is kept that could not go to the second tier as well, and none that one reader could change
 * for another.
 */

import { getHeapStatistics } from 'node:v8'

import { LRUCache } from 'lru-cache'

import { FourfoldError } from '../core/errors.ts'
import { createClassRegistry, type ClassRegistry } from './classes.ts'
import { cloneValue } from './clone.ts'
import { freezeValue } from './freeze.ts'
import { inspect, type Inspection } from './inspect.ts'

import type { Entry } from './entry.ts'
import type { EntryMemory } from './lookups.ts'
import type { ValueSharing } from './source.ts'
import type { Quiet } from '../freshness/changes/filter.ts'
import type { EntryPart } from '../freshness/changes/recorder.ts'

export interface EntryMemoryOptions {
  /** Default: {@link defaultMemoryBytes}. */
  readonly maxBytes?: number
  /** Default: none. */
  readonly classes?: ClassRegistry
}

/** What is kept now, and what had to go to make room. */
export interface EntryMemoryCounts {
  readonly entries: number
  readonly bytes: number
  readonly evictions: number
}

export interface BoundedEntryMemory extends EntryMemory {
  counts(): EntryMemoryCounts
}

const mib = 1024 * 1024

/**
 * An eighth of the heap that V8 allows itself, which follows the memory of the machine or container and
 * `--max-old-space-size`: from 32 MiB to 256 MiB.
 */
export function defaultMemoryBytes(): number {
  return Math.min(256 * mib, Math.max(32 * mib, Math.floor(getHeapStatistics().heap_size_limit / 8)))
}

/** Of an entry without its value, its id and its dependencies: this object, its places in the map and in the order of use. */
const entryBytes = 220
/** Of a part without its dependencies, with what is remembered of its last comparison. */
const partBytes = 450

/** An entry as it is kept: with what its copies need to know. */
class HeldEntry implements Entry {
  readonly value: unknown
  readonly parts: readonly EntryPart[]
  readonly filledAtMs: number
  readonly expiresAtMs: number
  readonly loadMs: number
  checked: Quiet | null
  onLeave: (() => void) | null = null
  /** Whether nothing stands in the value twice. */
  readonly once: boolean

  constructor({ parts, filledAtMs, expiresAtMs, loadMs, checked = null }: Entry, value: unknown, once: boolean) {
    this.value = value
    this.parts = parts
    this.filledAtMs = filledAtMs
    this.expiresAtMs = expiresAtMs
    this.loadMs = loadMs
    this.once = once
    this.checked = checked
  }
}

/** An empty tier. */
export function createEntryMemory(options: EntryMemoryOptions = {}): BoundedEntryMemory {
  const { maxBytes = defaultMemoryBytes(), classes = createClassRegistry() } = options
  let evictions = 0
  const entries = new LRUCache<string, HeldEntry>({
    // With 0, nothing fits.
    maxSize: Math.max(1, maxBytes),
    dispose: (entry, _id, reason) => {
      if (reason === 'evict') evictions += 1
      entry.onLeave?.()
    },
  })
  const settle = (value: unknown, values: ValueSharing, name?: string): Inspection => {
    const inspection = inspect(value, classes, name)
    if (values === 'frozen') {
      if (inspection.unfreezable !== null) throw refuseBytes(inspection.unfreezable)
      freezeValue(value)
    }
    return inspection
  }
  return {
    get: (id) => entries.get(id),
    protect: (value, values, name) => {
      settle(value, values, name)
      return value
    },
    set: (id, entry, values) => {
      const { value } = entry
      const { bytes, shared } = settle(value, values)
      const held = new HeldEntry(entry, value, shared.size === 0)
      entries.set(id, held, { size: entryBytes + 2 * id.length + bytes + bytesOfParts(entry.parts) })
      return held
    },
    handOut: (entry, values) => {
      if (values !== 'cloned') return entry.value
      return cloneValue(entry.value, classes, entry instanceof HeldEntry && entry.once)
    },
    counts: () => ({ entries: entries.size, bytes: entries.calculatedSize, evictions }),
  }
}

/** Numbers of up to 32 bits, two of a row; half of them are no small integers to V8. */
function bytesOfParts(parts: readonly EntryPart[]): number {
  let bytes = 0
  for (const { dependencies } of parts) {
    bytes += partBytes + 8 * dependencies.tables.length + 16 * dependencies.names.length
    for (const { hashes } of dependencies.rows) bytes += 120 + 8 * hashes.length
  }
  return bytes
}

function refuseBytes(path: string): FourfoldError {
  const message = `${path}: bytes cannot be frozen, and this value is handed to everybody as it is. Declare values: 'cloned', or leave them out`
  return new FourfoldError('FF_CACHE_VALUE', message, { fields: { path } })
}
