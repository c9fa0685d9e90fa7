/** A picture's middle as a small square: each of its pixels is the mean of those that it stands for. */
import { PNG } from 'pngjs'
import type { Pixels } from './pixels.ts'

/** Sharp on screens with four pixels for one, at the size of lists and comments. */
const SIZE = 128

/** As PNG. */
export function encodeSquare(pixels: Pixels): Buffer {
  const side = Math.min(pixels.width, pixels.height)
  const size = Math.min(SIZE, side)
  const square = new PNG({ width: size, height: size })
  const left = Math.floor((pixels.width - side) / 2)
  const top = Math.floor((pixels.height - side) / 2)
  const scale = side / size
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const [column, row] = turned(x, y, size - 1, pixels.orientation)
      const fromX = left + Math.floor(column * scale)
      const fromY = top + Math.floor(row * scale)
      const toX = Math.max(fromX + 1, left + Math.floor((column + 1) * scale))
      const toY = Math.max(fromY + 1, top + Math.floor((row + 1) * scale))
      square.data.set(mean(pixels, { fromX, fromY, toX, toY }), (y * size + x) * 4)
    }
  }
  return PNG.sync.write(square)
}

/** Where the pixel that is seen at a place stands in a picture that is yet to be turned. */
function turned(x: number, y: number, last: number, orientation: number): readonly [column: number, row: number] {
  const [mirroredX, mirroredY] = [last - x, last - y]
  if (orientation === 2) return [mirroredX, y]
  if (orientation === 3) return [mirroredX, mirroredY]
  if (orientation === 4) return [x, mirroredY]
  if (orientation === 5) return [y, x]
  if (orientation === 6) return [y, mirroredX]
  if (orientation === 7) return [mirroredY, mirroredX]
  if (orientation === 8) return [mirroredY, x]
  return [x, y]
}

interface Box {
  readonly fromX: number
  readonly fromY: number
  readonly toX: number
  readonly toY: number
}

/** What cannot be seen has no colour, so it weighs nothing. */
function mean({ data, width }: Pixels, { fromX, fromY, toX, toY }: Box): readonly number[] {
  let [red, green, blue, alpha] = [0, 0, 0, 0]
  for (let y = fromY; y < toY; y += 1) {
    for (let at = (y * width + fromX) * 4; at < (y * width + toX) * 4; at += 4) {
      const weight = data[at + 3]!
      red += data[at]! * weight
      green += data[at + 1]! * weight
      blue += data[at + 2]! * weight
      alpha += weight
    }
  }
  if (alpha === 0) return [0, 0, 0, 0]
  const count = (toX - fromX) * (toY - fromY)
  return [red / alpha, green / alpha, blue / alpha, alpha / count].map(Math.round)
}
