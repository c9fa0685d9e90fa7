/**
 * Rows of pgoutput, of which only the wanted columns are decoded: a text is expensive, and most columns are in nobody's
 * dependencies. Values stay the server's own text, a byte order mark at its beginning included (a `TextDecoder` would
 * drop it, and the hash of such a value would differ from its reader's). Whether a value is the same before and after is
 * told by its bytes, without a text.
 */

/** A column's text; null where it is null; undefined where the stream does not say. */
export type Value = string | null | undefined

export interface RowImages {
  /** What is known of the row before: nothing, the columns of the replica identity, or everything. */
  before: 'none' | 'key' | 'full'
  /** Whether there is a row afterwards. */
  after: boolean
  /** By column; only wanted ones are set. */
  readonly old: Value[]
  readonly new: Value[]
  /** Where the columns' bytes are in the message. */
  readonly oldPlaces: Places
  readonly newPlaces: Places
}

/** By column: where its value begins in the message (or one of the marks below), and how long it is. */
export interface Places {
  readonly from: number[]
  readonly length: number[]
}

const nullMark = -1
const unchangedMark = -2
const missingMark = -3

export function createRowImages(): RowImages {
  const places = (): Places => ({ from: [], length: [] })
  return { before: 'none', after: false, old: [], new: [], oldPlaces: places(), newPlaces: places() }
}

export type RowTag = 'insert' | 'update' | 'delete'

const insertTag = 0x49 // I
const updateTag = 0x55 // U
const deleteTag = 0x44 // D

/** Which change of a row a message is; null for every other message. */
export function rowTag(message: Buffer): RowTag | null {
  switch (message[0]) {
    case insertTag:
      return 'insert'
    case updateTag:
      return 'update'
    case deleteTag:
      return 'delete'
    default:
      return null
  }
}

/** The table that a change of a row names. */
export function rowTable(message: Buffer): number {
  return message.readUInt32BE(1)
}

const newTuple = 0x4e // N
const keyTuple = 0x4b // K
const oldTuple = 0x4f // O

/** Reads the wanted columns of a change into `images`, which is used again and again. */
export function readImages(message: Buffer, wanted: readonly boolean[], images: RowImages): void {
  images.before = 'none'
  images.after = false
  images.old.fill(undefined)
  images.new.fill(undefined)
  images.oldPlaces.from.fill(missingMark)
  images.newPlaces.from.fill(missingMark)
  for (let at = 5; at < message.length;) {
    const part = message[at]
    if (part !== newTuple && part !== keyTuple && part !== oldTuple) throw new Error(`an unknown tuple: ${part}`)
    if (part === newTuple) images.after = true
    else images.before = part === oldTuple ? 'full' : 'key'
    const isNew = part === newTuple
    const places = isNew ? images.newPlaces : images.oldPlaces
    at = readTuple(message, at + 1, wanted, isNew ? images.new : images.old, places)
  }
  if (images.after && images.before === 'full') fillUnchanged(wanted, images)
}

const nullKind = 0x6e // n
const unchangedKind = 0x75 // u

function readTuple(message: Buffer, from: number, wanted: readonly boolean[], into: Value[], places: Places): number {
  const columns = message.readUInt16BE(from)
  let at = from + 2
  for (let column = 0; column < columns; column += 1) {
    const kind = message[at]
    at += 1
    if (kind === nullKind) {
      into[column] = null
      places.from[column] = nullMark
    } else if (kind === unchangedKind) places.from[column] = unchangedMark
    else {
      const length = message.readUInt32BE(at)
      const end = at + 4 + length
      if (end > message.length) throw new Error('a row in the change stream ends too early')
      if (wanted[column] === true) into[column] = message.toString('utf8', at + 4, end)
      places.from[column] = at + 4
      places.length[column] = length
      at = end
    }
  }
  return at
}

/**
 * Whether the message of an update shows that a column has the bytes that it had: see decision 031. False in doubt, and
 * where the row before is not known.
 */
export function isUnchanged(message: Buffer, { oldPlaces, newPlaces }: RowImages, column: number): boolean {
  const after = newPlaces.from[column] ?? missingMark
  if (after === unchangedMark) return true
  const before = oldPlaces.from[column] ?? missingMark
  if (before < 0 || after < 0) return before === nullMark && after === nullMark
  const length = newPlaces.length[column]!
  if (length !== oldPlaces.length[column]) return false
  if (length > fewBytes) return message.compare(message, after, after + length, before, before + length) === 0
  for (let at = 0; at < length; at += 1) if (message[before + at] !== message[after + at]) return false
  return true
}

/** Up to so many, a loop is quicker than a call. */
const fewBytes = 32

/** A value that is stored apart and did not change is sent with the old row only. */
function fillUnchanged(wanted: readonly boolean[], images: RowImages): void {
  for (let column = 0; column < wanted.length; column += 1) {
    if (images.new[column] === undefined) images.new[column] = images.old[column]
  }
}
