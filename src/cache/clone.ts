/** Copies of cached values, registered classes included: for readers who may change what they are given. */

import { fieldsOf, hasFromCache, makeInstance, type ClassRegistry } from './classes.ts'

/**
 * Only for what passed the inspection.
 *
 * @param once whether nothing stands in the value twice, which need not be looked for then
 */
export function cloneValue(value: unknown, classes: ClassRegistry, once: boolean): unknown {
  return typeof value === 'object' && value !== null ? new Cloner(classes, once).clone(value) : value
}

class Cloner {
  private readonly classes: ClassRegistry
  private readonly copies: Map<object, object> | null

  constructor(classes: ClassRegistry, once: boolean) {
    this.classes = classes
    this.copies = once ? null : new Map()
  }

  clone(value: object): object {
    const known = this.copies?.get(value)
    if (known !== undefined) return known
    if (Array.isArray(value)) return this.elements(value)
    const prototype = Object.getPrototypeOf(value) as object | null
    if (prototype === Object.prototype) return this.assign(value, this.remember(value, {}))
    if (prototype === null) return this.assign(value, this.remember(value, Object.create(null) as object))
    if (value instanceof Date) return this.remember(value, new Date(value.getTime()))
    if (value instanceof Map) return this.map(value)
    if (value instanceof Set) return this.set(value)
    if (ArrayBuffer.isView(value)) return this.remember(value, copyView(value))
    if (value instanceof ArrayBuffer) return this.remember(value, value.slice(0))
    return this.instance(value, prototype)
  }

  private of(value: unknown): unknown {
    return typeof value === 'object' && value !== null ? this.clone(value) : value
  }

  private remember<T extends object>(value: object, copy: T): T {
    this.copies?.set(value, copy)
    return copy
  }

  private elements(value: readonly unknown[]): unknown[] {
    const copy = this.remember(value, [] as unknown[])
    for (let at = 0; at < value.length; at += 1) copy.push(this.of(value[at]))
    return copy
  }

  private assign(value: object, copy: object): object {
    for (const name of Object.keys(value)) {
      const held = this.of((value as Record<string, unknown>)[name])
      if (name !== '__proto__') (copy as Record<string, unknown>)[name] = held
      else Object.defineProperty(copy, name, { value: held, writable: true, enumerable: true, configurable: true })
    }
    return copy
  }

  private map(value: ReadonlyMap<unknown, unknown>): Map<unknown, unknown> {
    const copy = this.remember(value, new Map<unknown, unknown>())
    for (const [key, held] of value) copy.set(this.of(key), this.of(held))
    return copy
  }

  private set(value: ReadonlySet<unknown>): Set<unknown> {
    const copy = this.remember(value, new Set<unknown>())
    for (const held of value) copy.add(this.of(held))
    return copy
  }

  private instance(value: object, prototype: object): object {
    const type = this.classes.find(this.classes.nameOf(prototype) ?? '')
    if (type === undefined) throw new TypeError('an instance of a class that is not registered')
    if (!hasFromCache(type)) return this.assign(value, this.remember(value, makeInstance(type)))
    const fields = fieldsOf(value)
    const copied = fields === value ? this.assign(value, {}) : this.of(fields)
    return this.remember(value, type.fromCache(copied as never))
  }
}

/** On memory of its own. */
function copyView(view: ArrayBufferView): ArrayBufferView {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
  if (Buffer.isBuffer(view)) return Buffer.from(bytes)
  return new (view.constructor as new (buffer: ArrayBufferLike) => ArrayBufferView)(bytes)
}
