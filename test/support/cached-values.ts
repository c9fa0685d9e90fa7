/** Values of all kinds that may be cached, for property tests. */

import fc from 'fast-check'

export class Author {
  name: string
  readonly friends: unknown[]

  constructor(name: string, friends: unknown[] = []) {
    this.name = name
    this.friends = friends
  }

  greeting(): string {
    return `I am ${this.name}`
  }
}

export class Money {
  readonly #cents: bigint

  constructor(cents: bigint) {
    this.#cents = cents
  }

  get cents(): bigint {
    return this.#cents
  }

  toCache(): unknown {
    return { cents: this.#cents }
  }

  static fromCache({ cents }: { cents: bigint }): Money {
    return new Money(cents)
  }
}

const bytes = fc.uint8Array({ maxLength: 40 })
const binary = fc.oneof(
  bytes.map((data) => Buffer.from(data)),
  bytes,
  bytes.map((data) => new Uint8Array(data).buffer),
  bytes.map((data) => new DataView(new Uint8Array(data).buffer)),
  fc.float64Array({ maxLength: 5 }),
  fc.array(fc.integer({ min: -32_768, max: 32_767 })).map((data) => new Int16Array(data)),
  fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })).map((data) => new BigInt64Array(data)),
)

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  // Halves of surrogate pairs, and names that mean something elsewhere.
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', '0', '-1', '', 'length', '\ud800'),
)

const scalar = fc.oneof(
  fc.constantFrom(null, undefined, true, false, Number.NaN, Infinity, -Infinity, -0, 0),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
  text,
  fc.date({ noInvalidDate: false }),
  binary,
)

/** Nested up to some levels, nothing in it twice. */
export const cachedValues: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('nested')),
  nested: fc.oneof(
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 5 }).map((pairs) => own({}, pairs)),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 3 }).map((pairs) => own(Object.create(null) as object, pairs)),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 4 }).map((values) => new Set(values)),
    fc.tuple(text, fc.array(tie('value'), { maxLength: 3 })).map(([name, friends]) => new Author(name, friends)),
    fc.bigInt().map((cents) => new Money(cents)),
  ),
})).value

function own(object: object, pairs: readonly (readonly [string, unknown])[]): object {
  for (const [name, value] of pairs) {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
  }
  return object
}
