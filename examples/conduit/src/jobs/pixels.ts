/** Pictures as pixels: PNG and JPEG. Of other types there is no thumbnail, and pages show the picture itself. */
import { inflateSync } from 'node:zlib'
import type { Logger } from 'fourfold'
import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'

export interface Pixels {
  readonly width: number
  readonly height: number
  /** Red, green, blue, alpha of each, row by row. */
  readonly data: Uint8Array
  /** How it is meant to be turned: 1 to 8, as EXIF says it. */
  readonly orientation: number
}

/** A picture of a few bytes may have as many pixels as it says. */
const MAX_MEGAPIXELS = 40
const JPEG_MEMORY_MIB = 400

/** Null: it is of another type, too large, or broken. */
export function decode(bytes: Buffer, type: string, log: Pick<Logger, 'info'>): Pixels | null {
  try {
    if (type === 'image/png') return decodePng(bytes)
    if (type === 'image/jpeg') return decodeJpeg(bytes)
  } catch (error) {
    log.info({ error, type }, 'a picture could not be decoded: it has no thumbnail')
  }
  return null
}

function decodePng(bytes: Buffer): Pixels {
  // The first part of a PNG, always in the same place.
  const pixels = bytes.readUInt32BE(16) * bytes.readUInt32BE(20)
  if (pixels > MAX_MEGAPIXELS * 1e6) throw new Error(`${pixels} pixels (expected at most ${MAX_MEGAPIXELS} million)`)
  // Of one that is interlaced the decoder inflates whatever there is.
  if (bytes[28] === 1) inflateSync(compressedIn(bytes), { maxOutputLength: MOST_BYTES * pixels + 1024 })
  const { width, height, data } = PNG.sync.read(bytes)
  return { width, height, data, orientation: 1 }
}

/** Four channels of two bytes, and what each row of each pass begins with. */
const MOST_BYTES = 16

function compressedIn(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 8; at + 8 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT') {
      parts.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)))
    }
  }
  return Buffer.concat(parts)
}

function decodeJpeg(bytes: Buffer): Pixels {
  const limits = { maxResolutionInMP: MAX_MEGAPIXELS, maxMemoryUsageInMB: JPEG_MEMORY_MIB }
  const { width, height, data, exifBuffer } = jpeg.decode(bytes, { useTArray: true, ...limits }) as ReturnType<
    typeof jpeg.decode
  > & { exifBuffer?: Uint8Array }
  return { width, height, data, orientation: exifBuffer === undefined ? 1 : orientationIn(exifBuffer) }
}

const ORIENTATION = 0x0112

/** Cameras write pixels as the sensor has them, and how they were held. */
export function orientationIn(exif: Uint8Array): number {
  // What comes before is the second of two zeros that end the word Exif.
  const tiff = Buffer.from(exif.buffer, exif.byteOffset + 1, exif.byteLength - 1)
  const isLittle = tiff.toString('latin1', 0, 2) === 'II'
  const short = (at: number): number => (isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at))
  const start = isLittle ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4)
  for (let entry = 0; entry < short(start); entry += 1) {
    const at = start + 2 + entry * 12
    if (short(at) === ORIENTATION) return short(at + 8)
  }
  return 1
}
