/** Changes of rows as pgoutput sends them. */

/** In a new row: a value that is stored apart and did not change. */
export const unchanged: unique symbol = Symbol('unchanged')

export type SentRow = readonly (string | null | typeof unchanged)[]

export interface SentChange {
  /** The row before: all of it, as under a full replica identity. */
  readonly old?: SentRow
  /** The row before: only its key, null elsewhere. */
  readonly key?: SentRow
  readonly new?: SentRow
}

export function rowMessage(oid: number, { old, key, new: after }: SentChange): Buffer {
  const before = old ?? key
  const head = Buffer.from(`${after === undefined ? 'D' : before === undefined ? 'I' : 'U'}0000`)
  head.writeUInt32BE(oid, 1)
  const parts: Buffer[] = [head]
  if (before !== undefined) parts.push(tuple(old === undefined ? 'K' : 'O', before))
  if (after !== undefined) parts.push(tuple('N', after))
  return Buffer.concat(parts)
}

/** An update of which the server sent no row before: a replica identity whose columns did not change. */
export function updateWithoutBefore(oid: number, after: SentRow): Buffer {
  const message = rowMessage(oid, { new: after })
  message.write('U')
  return message
}

function tuple(kind: string, row: SentRow): Buffer {
  const head = Buffer.from(`${kind}00`)
  head.writeUInt16BE(row.length, 1)
  return Buffer.concat([head, ...row.map(sent)])
}

function sent(value: SentRow[number]): Buffer {
  if (value === null) return Buffer.from('n')
  if (value === unchanged) return Buffer.from('u')
  const text = Buffer.from(value)
  const size = Buffer.alloc(5)
  size.write('t')
  size.writeUInt32BE(text.length, 1)
  return Buffer.concat([size, text])
}
