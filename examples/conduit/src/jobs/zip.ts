/** A ZIP archive, in pieces as they come. */
import { promisify } from 'node:util'
import { crc32, deflateRaw } from 'node:zlib'
import { Zip, type ZipInputFile } from 'fflate'

export interface ZipEntry {
  readonly name: string
  readonly text: string
  readonly changedAt: Date
}

/** Of Node: beside the process, and without the 400 kB that fflate takes and drops for each file, however small. */
const deflate = promisify(deflateRaw)
const DEFLATED = 8

export async function* zip(entries: AsyncIterable<ZipEntry>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = []
  const archive = new Zip((error, piece) => {
    if (error) throw error
    pieces.push(piece)
  })
  for await (const { name, text, changedAt } of entries) {
    const bytes = Buffer.from(text)
    const entry: ZipInputFile = {
      ...{ filename: name, mtime: changedAt },
      ...{ compression: DEFLATED, size: bytes.length, crc: crc32(bytes) },
    }
    archive.add(entry)
    entry.ondata?.(null, await deflate(bytes), true)
    yield* pieces.splice(0)
  }
  archive.end()
  yield* pieces.splice(0)
}
