import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frame, FrameReader, maxFrameBytes } from '../../src/store/memory/frames.ts'

test('frames come out as they went in, however the stream is cut', () => {
  const value = fc.tuple(
    fc.nat(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 200 }),
    fc.constant(2 ** 52 + 1),
  )
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (values, cuts) => {
        const sent = values.map(([n, text, bytes, large]) => [n, text, Buffer.from(bytes), large])
        const stream = Buffer.concat(sent.map((each) => frame(each)))
        const reader = new FrameReader()
        const received: unknown[] = []
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = cuts[turn % cuts.length] ?? 1
          received.push(...reader.push(stream.subarray(at, at + size)))
          at += size
        }
        assert.deepEqual(received, sent)
      },
    ),
  )
})

test('a stream that is no stream of frames is refused before it is gathered', () => {
  const claim = Buffer.alloc(4)
  claim.writeUInt32BE(maxFrameBytes + 1)
  assert.throws(() => new FrameReader().push(claim), RangeError)
})
