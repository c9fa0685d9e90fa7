import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { crc32 } from 'node:zlib'

import { pack, unpack } from 'msgpackr'

import { slotsPerPiece, type FilterSnapshot } from '../../src/freshness/changes/snapshot.ts'
import { decodeHead, decodePiece, markOf } from '../../src/freshness/changes/snapshot-codec.ts'
import { SnapshotShelf } from '../../src/freshness/changes/snapshot-shelf.ts'
import { noTier, type CacheTier } from '../../src/store/tier.ts'
import { random } from '../support/change-histories.ts'

interface HeldTier extends CacheTier {
  readonly held: Map<string, Uint8Array>
}

function heldTier(maxValueBytes = 2 ** 22): HeldTier {
  const held = new Map<string, Uint8Array>()
  return {
    ...noTier,
    held,
    driver: 'memory',
    maxValueBytes,
    getMany: async (keys) => keys.map((key) => held.get(key) ?? null),
    set: async (key, value) => void held.set(key, value),
  }
}

const slots = 4 * slotsPerPiece

/** Positions up to its watermark, in some of its pieces. */
function snapshotOf(seed: number, watermark = 2 ** 40 + seed): FilterSnapshot {
  const next = random(seed)
  const pieces = Array.from({ length: 4 }, (_, at) => {
    const piece = new Float64Array(slotsPerPiece)
    for (let tries = 0; tries < (at === 2 ? 0 : 500); tries += 1) piece[next(slotsPerPiece)] = watermark - next(10_000)
    return piece
  })
  const tables = new Map([[16_384, { since: 7, any: watermark - 3, wide: 9 }]])
  return { epoch: 'e', floor: 5, watermark, slots, tables, templates: new Map([['16384\u0000id', 8]]), pieces }
}

async function load(tier: CacheTier): Promise<FilterSnapshot | null> {
  const shelf = new SnapshotShelf(tier, 'main')
  const head = await shelf.head('e')
  const pieces = head && (await shelf.pieces(head))
  if (head === null || pieces === null) return null
  const { epoch, floor, watermark, slots: size, tables, templates } = head
  return { epoch, floor, watermark, slots: size, tables, templates, pieces }
}

const put = (tier: CacheTier, snapshot: FilterSnapshot): Promise<string | null> =>
  new SnapshotShelf(tier, 'main').put(snapshot)

/** As it comes back: a piece that was never raised has no bytes. */
function stored(snapshot: FilterSnapshot): FilterSnapshot {
  return { ...snapshot, pieces: snapshot.pieces.map((piece) => (piece?.some((slot) => slot > 0) ? piece : null)) }
}

function flipped(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: 20 }, (_, at) => {
    const other = Uint8Array.from(bytes)
    other[Math.floor(((at + 1) * bytes.length) / 20) - 1]! ^= 1
    return other
  })
}

/** A head with a field that is one more, and the right checksum. */
function withField(head: Uint8Array, at: number): Uint8Array {
  const fields = unpack(head.subarray(4)) as number[]
  fields[at]! += 1
  const packed = pack(fields)
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(packed))
  return Buffer.concat([sum, packed])
}

suite('snapshots in a tier', () => {
  test('come back as they were put there', async () => {
    const tier = heldTier()
    assert.equal(await load(tier), null)
    await put(tier, snapshotOf(1))
    assert.deepEqual(await load(tier), stored(snapshotOf(1)))
    assert.equal(tier.held.size, 4)
    await put(tier, snapshotOf(2))
    assert.deepEqual(await load(tier), stored(snapshotOf(2)))
    assert.equal(tier.held.size, 4)
  })

  // Planted by hand and seen to fail: a piece's checksum is not asked; its prefix is not.
  test('any part of which is lost, damaged, cut off or of another snapshot are none', async () => {
    const [one, two] = [heldTier(), heldTier()]
    await put(one, snapshotOf(1))
    await put(two, snapshotOf(2))
    for (const [key, bytes] of one.held) {
      for (const instead of [null, two.held.get(key)!, bytes.subarray(0, -1), ...flipped(bytes), new Uint8Array()]) {
        const mixed = heldTier()
        for (const [other, value] of one.held) if (other !== key) mixed.held.set(other, value)
        if (instead !== null) mixed.held.set(key, instead)
        assert.ok((await load(mixed)) === null, key)
      }
    }
    const [first, second] = [...one.held.keys()].filter((key) => key.includes(':e:'))
    const swapped = heldTier()
    for (const [key, value] of one.held) swapped.held.set(key, value)
    swapped.held.set(first!, one.held.get(second!)!).set(second!, one.held.get(first!)!)
    assert.ok((await load(swapped)) === null)
  })

  test('are told apart by name, too, where checksums do not', async () => {
    const [one, two] = [heldTier(), heldTier()]
    await put(one, snapshotOf(1))
    await put(two, snapshotOf(2))
    const head = decodeHead(one.held.get('filter:main:e')!)!
    const own = one.held.get('filter:main:e:0')!
    const other = two.held.get('filter:main:e:0')!
    assert.ok((await decodePiece({ ...head, marks: [markOf(own)] }, 0, own)) !== null)
    assert.ok((await decodePiece({ ...head, marks: [markOf(other)] }, 0, other)) === null)
  })

  test('that two write at once are either or none', async () => {
    const outcomes = { whole: 0, none: 0 }
    for (let seed = 1; seed <= 20; seed += 1) {
      const next = random(seed)
      const tier = heldTier()
      // Each call takes some turns of the event loop, so that they come mixed.
      const slow = {
        ...tier,
        set: async (key: string, value: Uint8Array) => {
          for (let turns = next(4); turns > 0; turns -= 1) await new Promise(setImmediate)
          tier.held.set(key, value)
        },
      }
      await Promise.all([put(slow, snapshotOf(1)), put(slow, snapshotOf(2))])
      const loaded = await load(tier)
      outcomes[loaded === null ? 'none' : 'whole'] += 1
      if (loaded !== null)
        assert.deepEqual(loaded, stored(snapshotOf(loaded.watermark === snapshotOf(1).watermark ? 1 : 2)))
    }
    assert.ok(outcomes.none > 0, 'they never came mixed')
  })

  test('of which a tier does not take every part are none', async () => {
    const tier = heldTier(1_000)
    assert.equal(await put(tier, snapshotOf(1)), null)
    assert.equal(await load(tier), null)
  })

  test('of another version, or of other hashes, are none', async () => {
    const tier = heldTier()
    await put(tier, snapshotOf(1))
    const head = tier.held.get('filter:main:e')!
    assert.notEqual(decodeHead(head), null)
    assert.equal(decodeHead(Buffer.from('nonsense')), null)
    assert.equal(decodeHead(withField(head, 0)), null)
    assert.equal(decodeHead(withField(head, 1)), null)
  })

  test('say of what does not fit that it is newer than it is', async () => {
    const tier = heldTier()
    const watermark = 2 ** 45
    const piece = new Float64Array(slotsPerPiece)
    piece.set([watermark, watermark - 1, watermark - (2 ** 32 - 2), watermark - 2 ** 32, 100, 5, 4, watermark + 7])
    await put(tier, { ...snapshotOf(1, watermark), pieces: [piece, null, null, null] })
    const loaded = (await load(tier))!.pieces[0]!
    const oldest = watermark - (2 ** 32 - 2)
    assert.deepEqual([...loaded.subarray(0, 6)], [watermark, watermark - 1, oldest, oldest, oldest, 0])
    // Below the floor nothing is told apart; above the watermark, everybody hears it again.
    assert.deepEqual([...loaded.subarray(6, 9)], [0, watermark, 0])
  })
})
