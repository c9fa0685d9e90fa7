/** How Conduit makes small squares of pictures. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'

import { decode, orientationIn, type Pixels } from '../../examples/conduit/src/jobs/pixels.ts'
import { encodeSquare } from '../../examples/conduit/src/jobs/square.ts'
import { silentLogger } from '../../src/core/log.ts'

/** Black but for its first quarter of the middle square, which is white. */
function picture({ width, height, orientation = 1 }: { width: number; height: number; orientation?: number }): Pixels {
  const side = Math.min(width, height)
  const [left, top] = [(width - side) / 2, (height - side) / 2]
  const data = new Uint8Array(width * height * 4)
  for (let at = 0; at < width * height; at += 1) {
    const [x, y] = [at % width, Math.floor(at / width)]
    const isWhite = x >= left && x < left + side / 2 && y >= top && y < top + side / 2
    data.set(isWhite ? [255, 255, 255, 255] : [0, 0, 0, 255], at * 4)
  }
  return { width, height, data, orientation }
}

const squareOf = (pixels: Pixels): Pixels =>
  decode(encodeSquare(pixels), 'image/png', silentLogger) ?? assert.fail('expected a picture')

const quarters = ({ width, data }: Pixels): readonly boolean[] =>
  [0.25, 0.75].flatMap((y) =>
    [0.25, 0.75].map((x) => data[(Math.floor(y * width) * width + Math.floor(x * width)) * 4] === 255),
  )

test('the middle of a picture is kept, as large as the square or as the picture', () => {
  for (const [width, height, side] of [
    [900, 400, 128],
    [300, 777 + 1, 128],
    [128, 128, 128],
    [60, 40, 40],
    [1, 1, 1],
  ] as const) {
    const square = squareOf(picture({ width, height }))
    assert.deepEqual([square.width, square.height], [side, side])
    if (side > 1) assert.deepEqual(quarters(square), [true, false, false, false], `${width} × ${height}`)
  }
})

test('it is turned as its camera was held', () => {
  // Where the first quarter is seen: left above, right above, left below or right below.
  const seen = [0, 1, 3, 2, 0, 1, 3, 2]
  for (const [index, quarter] of seen.entries()) {
    const found = quarters(squareOf(picture({ width: 600, height: 400, orientation: index + 1 })))
    assert.equal(found.indexOf(true), quarter, `orientation ${index + 1}`)
  }
  const little = Buffer.from([0, 0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0])
  const big = Buffer.from([0, 0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0])
  assert.deepEqual([orientationIn(little), orientationIn(big)], [6, 8])
})

test('what cannot be seen has no colour', () => {
  const data = new Uint8Array(256 * 256 * 4)
  for (let at = 0; at < data.length; at += 8) data.set([255, 0, 0, 255, 0, 255, 0, 0], at)
  const square = squareOf({ width: 256, height: 256, data, orientation: 1 })
  assert.deepEqual([...square.data.subarray(0, 4)], [255, 0, 0, 128])
})

test('of what is broken, too large or of another type there is none', () => {
  const whole = encodeSquare(picture({ width: 200, height: 200 }))
  const huge = Buffer.from(whole)
  huge.writeUInt32BE(100_000, 16)
  huge.writeUInt32BE(100_000, 20)
  for (const [bytes, type] of [
    [whole.subarray(0, 100), 'image/png'],
    [huge, 'image/png'],
    [whole, 'image/jpeg'],
    [Buffer.alloc(0), 'image/png'],
    [whole, 'image/webp'],
  ] as const) {
    assert.equal(decode(bytes, type, silentLogger), null)
  }
})

test('a picture that is larger than it says is refused before it takes the memory of its host', () => {
  const chunk = (type: string, data: Buffer): Buffer => {
    const [body, length, sum] = [Buffer.concat([Buffer.from(type), data]), Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  // One pixel, interlaced: decoders know no size that its data must have.
  const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 1])
  const data = deflateSync(Buffer.alloc(256 * 2 ** 20))
  const parts = [chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]
  const picture = Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts])
  const beforeKiB = process.resourceUsage().maxRSS
  assert.equal(decode(picture, 'image/png', silentLogger), null)
  const grownMiB = (process.resourceUsage().maxRSS - beforeKiB) / 1024
  assert.ok(grownMiB < 100, `${grownMiB} MiB for a file of ${picture.length} bytes`)
})
