/**
 * Values in a form that MessagePack has words for, and back: what it cannot say, or says of two things alike, becomes an
 * array that begins with a number of {@link tag}; all other arrays begin with `tag.array`. A thing that stands in
 * several places is defined where it is met first.
 *
 * Only what passed the inspection comes here.
 */

import { FourfoldError } from '../core/errors.ts'
import { bytesNames } from './bytes.ts'
import { fieldsOf, hasFromCache, makeInstance, saysWhatIsKept, type ClassRegistry } from './classes.ts'
import { isOddName } from './inspect.ts'

/** Part of the format: numbers are never used again for anything else. */
const tag = {
  array: 0,
  negativeZero: 1,
  bigint: 2,
  /** UTF-16 units, of a text with half of a surrogate pair. */
  units: 3,
  invalidDate: 4,
  map: 5,
  set: 6,
  bytes: 7,
  /** Names and values, of an object without prototype or with a name that would be lost. */
  entries: 8,
  instance: 9,
  define: 10,
  again: 11,
} as const

type Tagged = readonly [number, ...unknown[]]

export function toTagged(value: unknown, shared: ReadonlySet<object>, classes: ClassRegistry): unknown {
  return new Tagger(shared, classes).tag(value)
}

class Tagger {
  private readonly shared: ReadonlySet<object>
  private readonly classes: ClassRegistry
  private readonly ids = new Map<object, number>()
  private readonly unfinished = new Set<object>()

  constructor(shared: ReadonlySet<object>, classes: ClassRegistry) {
    this.shared = shared
    this.classes = classes
  }

  tag(value: unknown): unknown {
    if (typeof value === 'string') return value.isWellFormed() ? value : [tag.units, Buffer.from(value, 'utf16le')]
    if (typeof value === 'number') return Object.is(value, -0) ? [tag.negativeZero] : value
    if (typeof value === 'bigint') return [tag.bigint, value.toString()]
    if (typeof value !== 'object' || value === null) return value
    return this.shared.size > 0 && this.shared.has(value) ? this.sharedObject(value) : this.object(value)
  }

  private sharedObject(value: object): Tagged {
    const known = this.ids.get(value)
    if (known === undefined) {
      const id = this.ids.size
      this.ids.set(value, id)
      return [tag.define, id, this.object(value)]
    }
    if (!this.unfinished.has(value)) return [tag.again, known]
    const message =
      'an instance of a class with fromCache() cannot be part of itself: it would have to be there before it is made'
    throw new FourfoldError('FF_CACHE_VALUE', message)
  }

  private object(value: object): unknown {
    if (Array.isArray(value)) return [tag.array, ...value.map((held) => this.tag(held))]
    const prototype = Object.getPrototypeOf(value) as object | null
    if (prototype === Object.prototype) return this.plainObject(value)
    if (prototype === null) return this.entries(value, true)
    const name = this.classes.nameOf(prototype)
    if (name !== undefined) return this.instance(value, name)
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? [tag.invalidDate] : value
    if (value instanceof Map) return [tag.map, ...[...value].flatMap(([key, held]) => [this.tag(key), this.tag(held)])]
    if (value instanceof Set) return [tag.set, ...[...value].map((held) => this.tag(held))]
    return Buffer.isBuffer(value) ? value : bytesTag(value as ArrayBufferView | ArrayBuffer)
  }

  private plainObject(value: object): unknown {
    const tagged: Record<string, unknown> = {}
    for (const name of Object.keys(value)) {
      if (isOddName(name)) return this.entries(value, false)
      tagged[name] = this.tag((value as Record<string, unknown>)[name])
    }
    return tagged
  }

  private entries(value: object, bare: boolean): Tagged {
    return [tag.entries, bare, ...Object.entries(value).flatMap(([name, held]) => [this.tag(name), this.tag(held)])]
  }

  private instance(value: object, name: string): Tagged {
    if (!hasFromCache(this.classes.find(name)!)) return [tag.instance, name, this.plainObject(value)]
    this.unfinished.add(value)
    const fields = saysWhatIsKept(value) ? this.tag(fieldsOf(value)) : this.plainObject(value)
    this.unfinished.delete(value)
    return [tag.instance, name, fields]
  }
}

function bytesTag(value: ArrayBufferView | ArrayBuffer): Tagged {
  if (value instanceof ArrayBuffer) return [tag.bytes, 'ArrayBuffer', Buffer.from(value)]
  return [tag.bytes, value.constructor.name, Buffer.from(value.buffer, value.byteOffset, value.byteLength)]
}

/** Takes the tagged form to pieces. Throws where it is none. */
export function fromTagged(tagged: unknown, classes: ClassRegistry): unknown {
  return new Reviver(classes).revive(tagged, null)
}

class Reviver {
  private readonly classes: ClassRegistry
  private readonly defined: unknown[] = []

  constructor(classes: ClassRegistry) {
    this.classes = classes
  }

  /** @param id where the value is defined for later mention: told as soon as it exists, since it may be part of itself */
  revive(node: unknown, id: number | null): unknown {
    if (typeof node !== 'object' || node === null) return node
    if (Array.isArray(node)) return this.tagged(node as unknown as Tagged, id)
    if (node instanceof Date || Buffer.isBuffer(node)) return this.define(id, node)
    this.define(id, node)
    return this.assign(node, node as Record<string, unknown>)
  }

  private define<T>(id: number | null, value: T): T {
    if (id !== null) this.defined[id] = value
    return value
  }

  private assign(target: object, fields: Record<string, unknown>): object {
    for (const name of Object.keys(fields)) {
      const held = fields[name]
      const value = typeof held === 'object' && held !== null ? this.revive(held, null) : held
      ;(target as Record<string, unknown>)[name] = value
    }
    return target
  }

  private tagged(node: Tagged, id: number | null): unknown {
    switch (node[0]) {
      case tag.array:
        return this.fill(this.define<unknown[]>(id, []), node)
      case tag.negativeZero:
        return -0
      case tag.bigint:
        return BigInt(node[1] as string)
      case tag.units:
        return (node[1] as Buffer).toString('utf16le')
      case tag.invalidDate:
        return this.define(id, new Date(Number.NaN))
      case tag.map:
        return this.map(node, id)
      case tag.set:
        return this.set(node, id)
      case tag.bytes:
        return this.define(id, makeBytes(node[1] as string, node[2] as Buffer))
      case tag.entries:
        return this.entries(node, id)
      case tag.instance:
        return this.instance(node[1] as string, node[2], id)
      case tag.define:
        return this.revive(node[2], node[1] as number)
      case tag.again:
        return this.again(node[1] as number)
      default:
        throw new TypeError('an unknown tag')
    }
  }

  private fill(target: unknown[], node: Tagged): unknown[] {
    for (let at = 1; at < node.length; at += 1) target.push(this.revive(node[at], null))
    return target
  }

  private map(node: Tagged, id: number | null): Map<unknown, unknown> {
    const map = this.define(id, new Map<unknown, unknown>())
    for (let at = 1; at + 1 < node.length; at += 2)
      map.set(this.revive(node[at], null), this.revive(node[at + 1], null))
    return map
  }

  private set(node: Tagged, id: number | null): Set<unknown> {
    const set = this.define(id, new Set<unknown>())
    for (let at = 1; at < node.length; at += 1) set.add(this.revive(node[at], null))
    return set
  }

  private entries(node: Tagged, id: number | null): object {
    const object = this.define(id, (node[1] === true ? Object.create(null) : {}) as object)
    for (let at = 2; at + 1 < node.length; at += 2) {
      const value = this.revive(node[at + 1], null)
      const name = this.revive(node[at], null) as string
      Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
    }
    return object
  }

  private instance(name: string, fields: unknown, id: number | null): object {
    const type = this.classes.find(name)
    if (type === undefined) throw new TypeError(`the class ${name} is not registered`)
    if (hasFromCache(type)) return this.define(id, type.fromCache(this.revive(fields, null) as never))
    const instance = this.define(id, makeInstance(type))
    // Fields with names that would be lost otherwise.
    if (Array.isArray(fields))
      return Object.defineProperties(instance, Object.getOwnPropertyDescriptors(this.revive(fields, null)))
    return this.assign(instance, fields as Record<string, unknown>)
  }

  private again(id: number): unknown {
    if (!(id in this.defined)) throw new TypeError('a mention of what is not there')
    return this.defined[id]
  }
}

type BytesClass = new (buffer: ArrayBuffer) => ArrayBufferView

/** On memory of its own, which begins where any element may. */
function makeBytes(name: string, bytes: Uint8Array): ArrayBufferView | ArrayBuffer {
  const buffer = new Uint8Array(bytes).buffer
  if (name === 'ArrayBuffer') return buffer
  if (!bytesNames.has(name)) throw new TypeError(`unknown bytes: ${name}`)
  return new (globalThis as unknown as Record<string, BytesClass>)[name]!(buffer)
}
