/** Classes whose instances may be cached, by names that mean the same in every process. */

/** As a class is registered. What its instances are made of are their own enumerable fields, unless it says otherwise. */
export type CacheableClass = (abstract new (...args: never[]) => object) & {
  /** Makes an instance from what `toCache` gave. Without it: the prototype and the fields, and no constructor is called. */
  fromCache?(fields: never): object
}

/** An instance that says itself what is kept of it, such as private fields. */
export interface CacheableInstance {
  toCache(): unknown
}

export interface ClassRegistry {
  nameOf(prototype: object): string | undefined
  find(name: string): CacheableClass | undefined
}

export function createClassRegistry(classes: Iterable<readonly [name: string, type: CacheableClass]>): ClassRegistry {
  const byName = new Map(classes)
  const byPrototype = new Map([...byName].map(([name, type]) => [type.prototype as object, name]))
  return { nameOf: (prototype) => byPrototype.get(prototype), find: (name) => byName.get(name) }
}

export const noClasses: ClassRegistry = createClassRegistry([])

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
