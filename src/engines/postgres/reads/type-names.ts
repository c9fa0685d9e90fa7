/** What a type's name in a statement means. */

import { refuse, refuseUnknown } from './refusal.ts'
import { bodyOf, listOf, namesOf, type Tree } from './tree.ts'
import { builtInTypes, type Family, familyOf, isTime, typeOids } from './types.ts'

import type { Catalogue } from './catalogue.ts'

export interface NamedType {
  readonly name: string
  /** 0 where it does not matter. Of an array: of its elements. */
  readonly oid: number
  readonly family: Family | null
  readonly array: boolean
  /** A length or precision stands behind it, to which values are cut. */
  readonly modified: boolean
  /** Its input may know `today`. */
  readonly timely: boolean
  /** An object of the catalogue by its name, such as regclass. */
  readonly registered: boolean
}

/** @param typeName the body of a TypeName node */
export function namedType(typeName: Tree, catalogue: Catalogue): NamedType {
  const names = namesOf(typeName.names)
  if (names === null || typeName.pct_type === true || typeName.setof === true) return refuse('a type that is not known')
  const name = names.at(-1) ?? ''
  const schema = names.length > 1 ? (names.at(-2) ?? null) : null
  const shape = {
    name,
    array: listOf(typeName.arrayBounds).length > 0 || name.startsWith('_'),
    modified: listOf(typeName.typmods).length > 0,
  }
  const own = schema === 'pg_catalog' ? null : catalogue.type(schema, name)
  if (own === null) return builtIn(schema, name, shape)
  if (!own.trusted || (schema === null && builtInTypes.has(name))) {
    return refuse(`a cast to ${name} may run code of the app's own`)
  }
  const timely = own.base !== null && (isTime(own.base) || !plainBases.has(own.base))
  return { ...shape, oid: own.oid, family: familyOf(own.oid, own.isEnum), timely, registered: false }
}

function builtIn(
  schema: string | null,
  name: string,
  shape: Pick<NamedType, 'name' | 'array' | 'modified'>,
): NamedType {
  const plain = name.startsWith('_') ? name.slice(1) : name
  if (schema !== null && schema !== 'pg_catalog') return refuse(`there is no type ${schema}.${name} in the catalogue`)
  if (/^reg[a-z]+$/.test(plain)) {
    return { ...shape, oid: 0, family: null, timely: false, registered: true }
  }
  const oid = builtInTypes.get(plain)
  if (oid === undefined) return refuseUnknown(`there is no type ${name} in the catalogue`)
  const timely = isTime(oid) || /^(ts|tstz|date)(multi)?range$/.test(plain)
  return { ...shape, oid, family: familyOf(oid, false), timely, registered: false }
}

/** Of a cast to a type, whose node this is. */
export function castType(cast: Tree, catalogue: Catalogue): NamedType {
  // The body of a cast holds the TypeName bare, everything else holds the node.
  const typeName = (cast.typeName ?? {}) as Tree
  return namedType(bodyOf(typeName, 'TypeName') ?? typeName, catalogue)
}

/** What domains are commonly made of; a domain over anything else may hide a date. */
const plainBases: ReadonlySet<number> = new Set(Object.values(typeOids).filter((oid) => !isTime(oid)))
