/**
 * Where snapshots of one database's filters lie: in the second tier of the cache, under one head for each epoch. It may
 * lose any part at any time; what is not whole is not there.
 *
 * The head is written last, and pieces lie under the same keys for every snapshot. So while one is written, or where two
 * write at once, there is none for a moment, and never a mixture.
 */

import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'

import { decodeHead, decodePiece, encodeHead, encodePiece, markOf, type SnapshotHead } from './snapshot-codec.ts'
import type { PieceMark } from './snapshot-codec.ts'
import type { FilterSnapshot, SlotPieces } from './snapshot.ts'
import type { Epoch } from '../../engines/position.ts'
import type { CacheTier } from '../../store/tier.ts'

/** As long as the stream keeps messages: an app that was stopped over night may go on. */
const ttlMs = 86_400_000
/** In one round trip: an answer should not take longer than the tier's deadline. */
const piecesAtOnce = 4

export class SnapshotShelf {
  readonly #tier: CacheTier
  readonly #database: string

  constructor(tier: CacheTier, database: string) {
    this.#tier = tier
    this.#database = database
  }

  /** Null where there is none. Rejects as the tier does. */
  async head(epoch: Epoch): Promise<SnapshotHead | null> {
    const [bytes] = await this.#tier.getMany([this.#headKey(epoch)])
    const head = bytes ? decodeHead(bytes) : null
    return head?.epoch === epoch ? head : null
  }

  /** Null where one of them is missing, damaged, or of another snapshot. Rejects as the tier does. */
  async pieces(head: SnapshotHead): Promise<SlotPieces | null> {
    const pieces: (Float64Array | null)[] = head.marks.map(() => null)
    const wanted = [...head.marks.keys()].filter((at) => head.marks[at] !== null)
    for (let begin = 0; begin < wanted.length; begin += piecesAtOnce) {
      const places = wanted.slice(begin, begin + piecesAtOnce)
      const found = await this.#tier.getMany(places.map((at) => this.#pieceKey(head.epoch, at)))
      for (const [index, at] of places.entries()) {
        const bytes = found[index]
        const piece = bytes ? await decodePiece(head, at, bytes) : null
        if (piece === null) return null
        pieces[at] = piece
      }
    }
    return pieces
  }

  /** Answers the snapshot's name, or null where the tier does not take it. Rejects as the tier does. */
  async put(snapshot: FilterSnapshot): Promise<string | null> {
    const { epoch, pieces, ...known } = snapshot
    const id = randomBytes(12).toString('base64url')
    const marks: PieceMark[] = []
    for (const [at, positions] of pieces.entries()) {
      // Whatever else there is to do comes first: this may take as long as it likes.
      await turn()
      const bytes = positions === null ? null : await encodePiece(id, at, positions, known)
      marks.push(markOf(bytes))
      if (bytes !== null && !(await this.#set(this.#pieceKey(epoch, at), bytes))) return null
    }
    const head = encodeHead({ ...known, id, epoch, marks })
    return (await this.#set(this.#headKey(epoch), head)) ? id : null
  }

  async #set(key: string, bytes: Uint8Array): Promise<boolean> {
    if (bytes.length > this.#tier.maxValueBytes) return false
    await this.#tier.set(key, bytes, ttlMs)
    return true
  }

  #headKey(epoch: Epoch): string {
    return `filter:${this.#database}:${epoch}`
  }

  #pieceKey(epoch: Epoch, at: number): string {
    return `${this.#headKey(epoch)}:${at}`
  }
}
