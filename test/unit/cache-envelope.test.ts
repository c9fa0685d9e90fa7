import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import fc from 'fast-check'

import { isFourfoldError } from '../../src/core/errors.ts'
import { createClassRegistry } from '../../src/cache/classes.ts'
import { EnvelopeCodec, type EnvelopeHead } from '../../src/cache/envelope.ts'
import { Author, cachedValues, Money } from '../support/cached-values.ts'

const classes = createClassRegistry([
  ['Author', Author],
  ['Money', Money],
])
const head: EnvelopeHead = {
  id: 'article:1:sdragons',
  parts: [
    {
      database: 'main',
      epoch: '7345.1.c0ffee',
      asOf: 2 ** 44 + 1,
      replica: true,
      dependencies: {
        tables: [16_384, 4_294_967_295],
        rows: [{ template: '16385\0slug', table: 16_385, hashes: [0, 4_294_967_295, 7, 8] }],
        names: [1, 2],
      },
    },
    { database: 'log', epoch: 'e', asOf: 0, replica: false, dependencies: { tables: [], rows: [], names: [] } },
  ],
  filledAtMs: 1_732_000_000_123,
  expiresAtMs: Infinity,
  loadMs: 1.25,
}
const codec = new EnvelopeCodec({ classes })

function roundTrip(value: unknown, writer = codec, reader = new EnvelopeCodec({ classes })): unknown {
  const envelope = reader.open(writer.encode(head, value), head.id)
  assert.ok(envelope !== null)
  const decoded = envelope.decode()
  assert.ok(decoded !== null)
  return decoded.value
}

describe('envelopes', () => {
  test('a head comes back as it was, without a look at the value', () => {
    const envelope = codec.open(codec.encode(head, { a: 1 }), head.id)
    assert.deepEqual(envelope?.head, head)
    const brief = { ...head, expiresAtMs: 99, parts: [] }
    assert.deepEqual(codec.open(codec.encode(brief, null), head.id)?.head, brief)
  })

  test('whatever may be cached comes back as it was', () => {
    fc.assert(
      fc.property(cachedValues, (value) => {
        const back = roundTrip(value)
        assert.ok(isDeepStrictEqual(revealed(back), revealed(value)))
      }),
      { numRuns: 1500 },
    )
  })

  test('so do values that are compressed', () => {
    const always = new EnvelopeCodec({ classes, compressAbove: 1 })
    fc.assert(
      fc.property(fc.array(cachedValues, { minLength: 20, maxLength: 30 }), (value) => {
        assert.ok(isDeepStrictEqual(revealed(roundTrip(value, always)), revealed(value)))
      }),
      { numRuns: 30 },
    )
    const long = { body: 'It takes a Jacobian. '.repeat(500) }
    assert.ok(codec.encode(head, long).length < 1000)
    assert.deepEqual(roundTrip(long), long)
    const never = new EnvelopeCodec({ classes, compressAbove: Infinity })
    assert.ok(never.encode(head, long).length > 10_000)
    assert.deepEqual(roundTrip(long, never), long)
  })

  test('undefined fields stay undefined fields', () => {
    const back = roundTrip({ a: undefined, b: null, c: [undefined] }) as object
    assert.deepEqual(Object.keys(back), ['a', 'b', 'c'])
    assert.deepEqual(back, { a: undefined, b: null, c: [undefined] })
  })

  test('instances come back with their class, and no constructor is called', () => {
    const article = { author: new Author('Ada', [new Author('Bob')]), price: new Money(12n), when: new Date(5) }
    const back = roundTrip(article) as typeof article
    assert.ok(back.author instanceof Author && back.author.friends[0] instanceof Author)
    assert.equal(back.author.greeting(), 'I am Ada')
    assert.equal(back.price.cents, 12n)
    assert.ok(back.when instanceof Date)
  })

  test('what stands in several places is one thing afterwards too, and circles are circles', () => {
    const tag = { name: 'x' }
    const date = new Date(7)
    const bytes = new Uint8Array([1, 2])
    const ada = new Author('Ada')
    const map = new Map<unknown, unknown>()
    const list: unknown[] = [tag, date, bytes, ada, map, new Set([ada])]
    list.push(list)
    map.set(tag, map)
    ada.friends.push(ada, { list })
    const back = roundTrip([...list, tag, date, bytes]) as unknown[]
    const [backTag, backDate, backBytes, backAda, backMap, backSet, backList] = back as [
      object,
      Date,
      Uint8Array,
      Author,
      Map<unknown, unknown>,
      Set<unknown>,
      unknown[],
    ]
    assert.equal(back[7], backTag)
    assert.equal(back[8], backDate)
    assert.equal(back[9], backBytes)
    assert.equal(backMap.get(backTag), backMap)
    assert.equal(backAda.friends[0], backAda)
    assert.ok(backSet.has(backAda))
    assert.equal(backList[6], backList)
    assert.equal((backAda.friends[1] as { list: unknown }).list, backList)
    assert.notEqual(backTag, tag)
  })

  test('bytes do not hold on to the network’s buffer, and of a pool take only their own', () => {
    const back = roundTrip({ a: Buffer.from('small'), b: new Float64Array([1, 2]) }) as { a: Buffer; b: Float64Array }
    assert.equal(back.a.buffer.byteLength, 5)
    assert.equal(back.b.buffer.byteLength, 16)
  })
})

describe('what cannot be cached is refused by its path', () => {
  const save = (): void => undefined
  const holes: unknown[] = [1, 2]
  holes.length = 3
  const match = /a(b)/.exec('ab')
  class Unknown {
    readonly a = 1
  }
  let deep: unknown = 1
  for (let level = 0; level < 600; level += 1) deep = [deep]
  class HalfMoney {
    toCache(): unknown {
      return 1
    }
  }
  const cases: readonly [name: string, value: unknown, path: string][] = [
    ['a function', { author: { save } }, 'article.author.save'],
    ['a symbol', { tags: ['a', Symbol('b')] }, 'article.tags[1]'],
    ['a symbol as a key', { a: { [Symbol('b')]: 1 } }, 'article.a'],
    ['an unregistered class', { 'two words': [new Unknown()] }, 'article["two words"][0]'],
    ['a promise', new Map([['later', Promise.resolve()]]), 'article.get("later")'],
    ['a WeakMap', { w: new WeakMap() }, 'article.w'],
    ['an array with holes', { holes }, 'article.holes'],
    ['an array with names', { match }, 'article.match'],
    ['a RegExp', /x/, 'article'],
    ['an Error', { error: new Error('x') }, 'article.error'],
    ['shared memory', { bytes: new Uint8Array(new SharedArrayBuffer(4)) }, 'article.bytes'],
    ['a class that extends Map', { map: new (class extends Map {})() }, 'article.map'],
    ['in an instance', new Author('Ada', [save]), 'article.friends[0]'],
    ['a class with half of the two', { half: new HalfMoney() }, 'article.half'],
  ]
  for (const [name, value, path] of cases) {
    test(name, () => {
      const registry = createClassRegistry([
        ['Author', Author],
        ['HalfMoney', HalfMoney as never],
      ])
      const strict = new EnvelopeCodec({ classes: registry })
      assert.throws(
        () => strict.encode(head, value, 'article'),
        (error) => isFourfoldError(error, 'FF_CACHE_VALUE') && error.message.startsWith(`${path}:`),
      )
    })
  }

  test('what is too deep', () => {
    assert.throws(() => codec.encode(head, deep), { code: 'FF_CACHE_VALUE' })
  })

  test('an instance that would have to be there before it is made', () => {
    class Node {
      next: unknown = this
      static fromCache(): Node {
        return new Node()
      }
    }
    const own = new EnvelopeCodec({ classes: createClassRegistry([['Node', Node]]) })
    assert.throws(() => own.encode(head, new Node()), { code: 'FF_CACHE_VALUE' })
  })
})

describe('a miss', () => {
  const value = { when: new Date(1), list: [1, 'two', -0, 3n], author: new Author('Ada'), text: 'abc'.repeat(30) }
  const bytes = codec.encode(head, value)

  test('what is cut off anywhere', () => {
    for (let length = 0; length < bytes.length; length += 1)
      assert.equal(codec.open(bytes.subarray(0, length), head.id), null)
    assert.equal(codec.open(Buffer.concat([bytes, Buffer.from('x')]), head.id), null)
  })

  test('what has one bit or some bytes wrong', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), fc.uint8Array({ maxLength: 6 }), (bit, noise) => {
        const damaged = Buffer.from(bytes)
        damaged[bit >> 3]! ^= 1 << (bit & 7)
        assert.equal(codec.open(damaged, head.id), null)
        damaged.set(noise.subarray(0, damaged.length - (bit >> 3)), bit >> 3)
        const opened = codec.open(damaged, head.id)
        assert.ok(opened === null || damaged.equals(bytes))
      }),
      { numRuns: 3000 },
    )
  })

  test('whatever else somebody put there', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => assert.equal(codec.open(noise, head.id), null)))
  })

  test('an entry of another name, another version, or of classes that nobody knows', () => {
    assert.ok(codec.open(bytes, head.id) !== null)
    assert.equal(codec.open(bytes, `${head.id}x`), null)
    const newer = Buffer.from(bytes)
    newer[2] = 2
    assert.equal(codec.open(newer, head.id), null)
    assert.equal(new EnvelopeCodec({ classes: createClassRegistry() }).open(bytes, head.id), null)
  })

  test('an instance that its class does not make any more', () => {
    const written = codec.encode(head, new Money(5n))
    class Other {
      readonly a = 1
      static fromCache(): Other {
        throw new Error('no more')
      }
    }
    const reader = new EnvelopeCodec({ classes: createClassRegistry([['Money', Other]]) })
    assert.equal(reader.open(written, head.id), null)
  })
})

/** With what private fields hold, which a comparison does not see. */
function revealed(value: unknown): unknown {
  if (value instanceof Money) return { money: value.cents }
  if (Array.isArray(value)) return value.map(revealed)
  if (value instanceof Map) return [...value].map(([key, held]) => [revealed(key), revealed(held)])
  if (value instanceof Set) return [...value].map(revealed)
  if (value instanceof Author) return ['Author', value.name, revealed(value.friends)]
  if (value instanceof DataView) return ['DataView', new Uint8Array(value.buffer)]
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Date) return value
  if (value instanceof ArrayBuffer) return value
  return [Object.getPrototypeOf(value) === null, Object.entries(value).map(([name, held]) => [name, revealed(held)])]
}
