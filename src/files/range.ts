/** The Range header, as RFC 9110 section 14 has it. */

import type { ByteRange } from './files.ts'

/**
 * The part that a Range header asks for; null: the whole is the answer (no header, another unit, bad syntax, or several
 * parts, which a server may answer whole); 'unsatisfiable': 416.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | null | 'unsatisfiable' {
  const [, first = '', last = ''] = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '') ?? []
  if (first === '' && last === '') return null
  if (first === '') return suffix(Number(last), size)
  const start = Number(first)
  const end = last === '' ? size : Math.min(Number(last) + 1, size)
  if (last !== '' && Number(last) < start) return null
  return start < size ? { start, end } : 'unsatisfiable'
}

function suffix(length: number, size: number): ByteRange | null | 'unsatisfiable' {
  if (length === 0) return 'unsatisfiable'
  // Of nothing there is no part that Content-Range could name.
  return size === 0 ? null : { start: Math.max(0, size - length), end: size }
}
