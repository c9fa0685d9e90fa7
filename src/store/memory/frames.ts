/** Frames on the socket: four bytes of length, then msgpack. Bytes stay bytes, and nothing is escaped. */

import { Packr } from 'msgpackr'

const headerBytes = 4
/** Larger than any sensible batch; what claims to be longer is not ours. */
export const maxFrameBytes: number = 64 * 1024 * 1024

// Stateless with these options: no record definitions are learnt, and decoded bytes do not share the network's buffer.
const packr = new Packr({ useRecords: false, copyBuffers: true, mapsAsObjects: false })

export function pack(value: unknown): Buffer {
  return packr.pack(value)
}

export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}

/** A value as one frame, ready to be written. */
export function frame(value: unknown): Buffer {
  const body = packr.pack(value)
  const framed = Buffer.allocUnsafe(headerBytes + body.length)
  framed.writeUInt32BE(body.length, 0)
  body.copy(framed, headerBytes)
  return framed
}

/** Cuts a stream of bytes into frames' values. */
export class FrameReader {
  private chunks: Buffer[] = []
  private length = 0
  private wanted = headerBytes

  /** The values that this chunk completes. Throws where the stream is no stream of frames. */
  push(chunk: Buffer): unknown[] {
    this.chunks.push(chunk)
    this.length += chunk.length
    if (this.length < this.wanted) return []
    const bytes = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks, this.length)
    const values: unknown[] = []
    let offset = 0
    for (;;) {
      const left = bytes.length - offset
      this.wanted = headerBytes
      if (left < headerBytes) break
      const size = bytes.readUInt32BE(offset)
      if (size > maxFrameBytes) throw new RangeError(`a frame of ${size} bytes; at most ${maxFrameBytes} are taken`)
      this.wanted = headerBytes + size
      if (left < this.wanted) break
      values.push(packr.unpack(bytes.subarray(offset + headerBytes, offset + this.wanted)))
      offset += this.wanted
    }
    this.chunks = offset === bytes.length ? [] : [bytes.subarray(offset)]
    this.length = bytes.length - offset
    return values
  }
}
