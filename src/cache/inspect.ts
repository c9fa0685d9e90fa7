/**
 * Looks through a value before it is cached: whether all of it can be, how many bytes it takes, and what stands in it
 * several times. Nothing is cached that did not pass, in whatever tier: a value must not be one thing on a laptop and
 * another where there is a second tier.
 */

import { types } from 'node:util'

import { FourfoldError } from '../core/errors.ts'
import { isBytes } from './bytes.ts'
import { fieldsOf, hasFromCache, saysWhatIsKept, type ClassRegistry } from './classes.ts'
import { plainPrototypeOf } from './freeze.ts'

export interface Inspection {
  /** An estimate of what it takes of the heap. */
  readonly bytes: number
  /** Whether it is made of what MessagePack has words for, each thing once. */
  readonly plain: boolean
  /** What stands in it several times, circles included. */
  readonly shared: ReadonlySet<object>
  /** Names of the classes of which there are instances. */
  readonly classes: ReadonlySet<string>
  /** The first that cannot be frozen, as a path, or null. */
  readonly unfreezable: string | null
}

export const deepestLevel = 500

/** @throws FF_CACHE_VALUE with the path of what cannot be cached, beginning with `label` */
export function inspect(value: unknown, classes: ClassRegistry, label = 'value'): Inspection {
  const inspector = new Inspector(classes, label)
  inspector.visit(value)
  return inspector
}

const emptyShared: ReadonlySet<object> = new Set()

class Inspector implements Inspection {
  bytes = 0
  plain = true
  unfreezable: string | null = null
  classes: Set<string> | ReadonlySet<string> = new Set()
  private readonly registry: ClassRegistry
  private readonly path: (string | number)[]
  private readonly seen = new Set<object>()
  private several: Set<object> | null = null

  constructor(registry: ClassRegistry, label: string) {
    this.registry = registry
    this.path = [label]
  }

  get shared(): ReadonlySet<object> {
    return this.several ?? emptyShared
  }

  visit(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.text(value)
      case 'number':
        if (Object.is(value, -0)) this.plain = false
        if (!isSmallInteger(value)) this.bytes += 16
        return
      case 'bigint':
        this.plain = false
        this.bytes += 24 + (value > 2n ** 64n || value < -(2n ** 64n) ? value.toString(16).length / 2 : 0)
        return
      case 'object':
        return value === null ? undefined : this.object(value)
      case 'boolean':
      case 'undefined':
        return
      default:
        throw this.refuse(`a ${typeof value} cannot be cached`)
    }
  }

  private text(value: string): void {
    if (!value.isWellFormed()) this.plain = false
    this.bytes += textBytes(value)
  }

  private object(value: object): void {
    if (this.seen.has(value)) {
      this.plain = false
      this.several ??= new Set()
      this.several.add(value)
      return
    }
    this.seen.add(value)
    if (this.path.length > deepestLevel)
      throw this.refuse(`values may be nested ${deepestLevel} levels deep, this is deeper`)
    const prototype = Object.getPrototypeOf(value) as object | null
    if (prototype === Object.prototype) return this.fields(value)
    if (Array.isArray(value) && prototype === Array.prototype) return this.elements(value)
    this.special(value, prototype)
  }

  private fields(value: object): void {
    const names = Object.keys(value)
    this.bytes += 24 + 8 * names.length
    if (Object.getOwnPropertySymbols(value).length > 0)
      throw this.refuse('properties with symbols as keys cannot be cached')
    for (const name of names) {
      if (isOddName(name)) this.plain = false
      this.path.push(name)
      this.visit((value as Record<string, unknown>)[name])
      this.path.pop()
    }
  }

  private elements(value: readonly unknown[]): void {
    this.bytes += 48 + 8 * value.length
    if (Object.keys(value).length !== value.length) {
      throw this.refuse('an array with holes, or with properties beside its elements, cannot be cached')
    }
    for (let at = 0; at < value.length; at += 1) {
      if (value[at] === undefined && !(at in value)) throw this.refuse('an array with holes cannot be cached')
      this.path.push(at)
      this.visit(value[at])
      this.path.pop()
    }
  }

  private special(value: object, prototype: object | null): void {
    if (prototype === null) {
      this.plain = false
      return this.fields(value)
    }
    const name = this.registry.nameOf(prototype)
    if (name !== undefined) return this.instance(value, name)
    const plain = plainPrototypeOf(prototype)
    if (types.isDate(value) && plain === Date.prototype) {
      if (Number.isNaN(value.getTime())) this.plain = false
      this.bytes += 96
    } else if (types.isMap(value) && plain === Map.prototype) this.map(value)
    else if (types.isSet(value) && plain === Set.prototype) this.set(value)
    else if (isBytes(value)) this.binary(value)
    else throw this.refuse(unknownObject(value, prototype))
  }

  private instance(value: object, name: string): void {
    this.plain = false
    ;(this.classes as Set<string>).add(name)
    if (!saysWhatIsKept(value)) return this.fields(value)
    if (!hasFromCache(this.registry.find(name)!))
      throw this.refuse(`${name} has toCache() and needs a static fromCache() too`)
    this.bytes += 24
    this.path.push('toCache()')
    this.visit(fieldsOf(value))
    this.path.pop()
  }

  private map(value: ReadonlyMap<unknown, unknown>): void {
    this.plain = false
    this.bytes += 200 + 50 * value.size
    let at = 0
    for (const [key, held] of value) {
      this.path.push(typeof key === 'string' ? `get(${JSON.stringify(key)})` : at)
      this.visit(key)
      this.visit(held)
      this.path.pop()
      at += 1
    }
  }

  private set(value: ReadonlySet<unknown>): void {
    this.plain = false
    this.bytes += 200 + 35 * value.size
    let at = 0
    for (const held of value) {
      this.path.push(at)
      this.visit(held)
      this.path.pop()
      at += 1
    }
  }

  private binary(value: ArrayBufferView | ArrayBuffer): void {
    if (!Buffer.isBuffer(value)) this.plain = false
    this.bytes += 300 + value.byteLength
    this.unfreezable ??= pathText(this.path)
  }

  private refuse(why: string): FourfoldError {
    const path = pathText(this.path)
    const message = `${path}: ${why}. Leave it out of what is cached, or load plain data and registered classes`
    return new FourfoldError('FF_CACHE_VALUE', message, { fields: { path } })
  }
}

/** Names of fields by which the packer would take an object for something else, or which it would not keep. */
export function isOddName(name: string): boolean {
  return name === 'constructor' || name === 'toJSON' || name === '__proto__' || !name.isWellFormed()
}

function isSmallInteger(value: number): boolean {
  return value === (value | 0)
}

/** One byte a unit where all are of Latin; else two. Telling Latin from ASCII would cost more than it saves. */
function textBytes(value: string): number {
  return 16 + (Buffer.byteLength(value) === value.length ? value.length : 2 * value.length)
}

function unknownObject(value: object, prototype: object): string {
  const name = (prototype as { constructor?: { name?: string } }).constructor?.name
  if (types.isPromise(value)) return 'a promise cannot be cached; await it in the load'
  if (types.isWeakMap(value) || types.isWeakSet(value) || name === 'WeakRef') return `a ${name} cannot be cached`
  return `an instance of ${name === undefined || name === '' ? 'a class without a name' : name} cannot be cached, since its class is not registered`
}

function pathText([label, ...rest]: readonly (string | number)[]): string {
  const parts = rest.map((part) => {
    if (typeof part === 'number') return `[${part}]`
    return /^[\p{L}_$][\p{L}\p{N}_$]*(\(.*\))?$/u.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`
  })
  return `${label}${parts.join('')}`
}
