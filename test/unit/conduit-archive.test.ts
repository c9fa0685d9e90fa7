/** How Conduit packs articles: beside everything else that a worker does. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { strFromU8, unzipSync } from 'fflate'
import { zip, type ZipEntry } from '../../examples/conduit/src/jobs/zip.ts'

const changedAt = new Date('2026-11-22T12:00:00Z')

/** As many as are asked for, all of them there at once. */
async function* entriesOf(texts: readonly string[]): AsyncGenerator<ZipEntry> {
  for (const [index, text] of texts.entries()) yield { name: `${index}.md`, text, changedAt }
}

async function archiveOf(texts: readonly string[]): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of zip(entriesOf(texts))) pieces.push(piece)
  return Buffer.concat(pieces)
}

test('what is packed can be read, whatever is in it', async () => {
  const texts = ['', 'Grüße, 世界', 'a'.repeat(500_000)]
  const files = unzipSync(await archiveOf(texts))
  assert.deepEqual(
    Object.values(files).map((bytes) => strFromU8(bytes)),
    texts,
  )
  assert.deepEqual(unzipSync(await archiveOf([])), {})
})

test('many articles take turns with other work and no more memory than few', async () => {
  const text = Array.from({ length: 3_000 }, (_, n) => ((n * 7_919) % 100_003).toString(36)).join(' ')
  let turns = 0
  const turn = (): void => {
    turns += 1
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const texts = Array.from({ length: 1_000 }, () => text)
  for await (const _piece of zip(entriesOf(texts))) most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  clearImmediate(next)
  assert.ok(turns >= texts.length, `${turns} turns for other work`)
  assert.ok(most < 48 * 1024 ** 2, `${most} bytes at a time`)
})
