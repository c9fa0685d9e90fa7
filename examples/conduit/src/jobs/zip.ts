/** A ZIP archive, in pieces as they come. */
import { Zip, ZipDeflate } from 'fflate'

export interface ZipEntry {
  readonly name: string
  readonly text: string
  readonly changedAt: Date
}

export async function* zip(entries: AsyncIterable<ZipEntry>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = []
  const archive = new Zip((error, piece) => {
    if (error) throw error
    pieces.push(piece)
  })
  for await (const { name, text, changedAt } of entries) {
    const entry = new ZipDeflate(name)
    entry.mtime = changedAt
    archive.add(entry)
    entry.push(Buffer.from(text), true)
    yield* pieces.splice(0)
  }
  archive.end()
  yield* pieces.splice(0)
}
