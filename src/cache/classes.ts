/** Classes whose instances may be cached, by names that mean the same in every process. */

import { FourfoldError } from '../core/errors.ts'

/** As a class is registered. What its instances are made of are their own enumerable fields, unless it says otherwise. */
export type CacheableClass = (abstract new (...args: never[]) => object) & {
  /** Makes an instance from what `toCache` gave. Without it: the prototype and the fields, and no constructor is called. */
  fromCache?(fields: never): object
}

/** An instance that says itself what is kept of it, such as private fields. */
export interface CacheableInstance {
  toCache(): unknown
}

/** The classes of one app. They become known with the objects whose instances they are. */
export class ClassRegistry {
  private readonly byName = new Map<string, CacheableClass>()
  private readonly byPrototype = new Map<object, string>()

  /**
   * A class may have several names; its instances are kept under the first.
   *
   * @throws FF_CACHE_OBJECT where the name is another's
   */
  register(name: string, type: CacheableClass): void {
    const other = this.byName.get(name)
    if (other !== undefined && other !== type) {
      const message = `Two classes are registered for the cache as ${name}: expected a name for each`
      throw new FourfoldError('FF_CACHE_OBJECT', message, { fields: { name } })
    }
    this.byName.set(name, type)
    const prototype = type.prototype as object
    if (!this.byPrototype.has(prototype)) this.byPrototype.set(prototype, name)
  }

  nameOf(prototype: object): string | undefined {
    return this.byPrototype.get(prototype)
  }

  find(name: string): CacheableClass | undefined {
    return this.byName.get(name)
  }
}

export function createClassRegistry(
  classes: Iterable<readonly [name: string, type: CacheableClass]> = [],
): ClassRegistry {
  const registry = new ClassRegistry()
  for (const [name, type] of classes) registry.register(name, type)
  return registry
}

export function saysWhatIsKept(instance: object): instance is CacheableInstance {
  return 'toCache' in instance && typeof instance.toCache === 'function'
}

export function hasFromCache(type: CacheableClass): type is CacheableClass & { fromCache(fields: never): object } {
  return typeof type.fromCache === 'function'
}

/** What is kept of an instance. */
export function fieldsOf(instance: object): unknown {
  return saysWhatIsKept(instance) ? instance.toCache() : instance
}

export function makeInstance(type: CacheableClass): object {
  return Object.create(type.prototype as object) as object
}
