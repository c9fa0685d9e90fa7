/**
 * Hashes of what an answer can depend on. Tracker and readers must agree on them to the bit, so they have a version,
 * which stands in every message, snapshot and entry (FRESHNESS rule 17).
 *
 * A hash is a pair of unsigned 32-bit numbers: the two slots of a count-min sketch. Two multiplicative lanes over the
 * UTF-16 code units (after MurmurHash3's mixing step), each value with its length in front, so that ('ab', 'c') and
 * ('a', 'bc') differ. A collision costs a false miss, never a stale answer.
 */

/** Changes with anything that changes a hash: this file, the canonical text of values, what a template id looks like. */
export const hashVersion = 2

export type HashPair = readonly [number, number]

/**
 * What rows are told apart by, and which of their columns matter: a table, the columns whose values are hashed, and
 * those that are read, each in ascending order of their names. Means the same in every process.
 */
export type TemplateId = string

export interface TemplateParts {
  /** The oid of the table. */
  readonly table: number
  /** None: all rows of the table have one hash, that of no values. */
  readonly columns: readonly string[]
  /** Beside these; null: every column. */
  readonly reads: readonly string[] | null
}

/**
 * @param table the oid of the table
 * @param reads whatever else is read; null: in doubt, so every column
 */
export function templateId(
  table: number,
  columns: readonly string[],
  reads: readonly string[] | null = null,
): TemplateId {
  const named = [String(table), ...columns.toSorted()]
  // No column has an empty name.
  const others = reads === null ? [] : ['', ...reads.filter((column) => !columns.includes(column)).toSorted()]
  return [...named, ...others].join('\u0000')
}

export function templateParts(id: TemplateId): TemplateParts {
  const [table, ...names] = id.split('\u0000')
  const end = names.indexOf('')
  const columns = end < 0 ? names : names.slice(0, end)
  return { table: Number(table), columns, reads: end < 0 ? null : names.slice(end + 1) }
}

/** @param values canonical texts, as the server prints them, in the order of the template's columns */
export function hashRow(template: TemplateId, values: readonly string[]): HashPair {
  return hashTexts(seedOf(template), values)
}

/** The hash of a name that the app itself touches: see `ff.cache.touch`. */
export function hashName(name: string): HashPair {
  // As the server stores it: half of a surrogate pair is replaced.
  return hashTexts(nameSeed, [name.toWellFormed()])
}

/** Part of a hash that is the same for all rows of a template: worth keeping where many rows are hashed. */
export type Seed = readonly [number, number]

export function seedOf(template: TemplateId): Seed {
  return absorb(0x9e3779b1, 0x85ebca77, template)
}

export function hashTexts(seed: Seed, values: readonly string[]): HashPair {
  let [one, two] = seed
  for (const value of values) {
    one = Math.imul(one ^ value.length, 0xcc9e2d51)
    two = Math.imul(two ^ value.length, 0x1b873593)
    ;[one, two] = absorb(one, two, value)
  }
  return [finish(one ^ (two >>> 7)), finish(two ^ Math.imul(one, 5))]
}

const nameSeed: Seed = absorb(0x2545f491, 0x27d4eb2f, 'name')

function absorb(one: number, two: number, text: string): [number, number] {
  let a = one | 0
  let b = two | 0
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    a = Math.imul(a ^ unit, 0x9e3779b1)
    a ^= a >>> 15
    b = Math.imul(b ^ unit, 0x5f356495)
    b ^= b >>> 13
  }
  return [a, b]
}

function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
