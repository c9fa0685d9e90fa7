/** Reads what a client was sent, byte by byte: interim answers, the answer, and whether anything came behind it. */

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
  /** Whether the body came to its end, as far as its framing says. */
  readonly whole: boolean
  /** How many interim answers (1xx) came before. */
  readonly interim: number
  /** What came behind the answer. */
  readonly rest: string
}

/** Null while the head is not there. `bodiless`: the answer is to HEAD. */
export function readRawAnswer(bytes: string, bodiless = false): RawAnswer | null {
  let at = 0
  for (let interim = 0; ; interim += 1) {
    const end = bytes.indexOf('\r\n\r\n', at)
    const status = Number(/^HTTP\/1\.1 (\d\d\d)/.exec(bytes.slice(at, at + 12))?.[1])
    if (end === -1 || Number.isNaN(status)) return null
    const head = bytes.slice(at, end + 2)
    if (status >= 200 || status === 101) {
      const none = bodiless || status === 204 || status === 304 || status === 101
      return { status, head, interim, ...(none ? nothing(bytes, end + 4) : readBody(bytes, end + 4, head)) }
    }
    at = end + 4
  }
}

type Rest = Pick<RawAnswer, 'body' | 'whole' | 'rest'>

function nothing(bytes: string, at: number): Rest {
  return { body: '', whole: true, rest: bytes.slice(at) }
}

function readBody(bytes: string, at: number, head: string): Rest {
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1]
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) return readChunks(bytes, at)
  if (length === undefined) return { body: bytes.slice(at), whole: true, rest: '' }
  const end = at + Number(length)
  return { body: bytes.slice(at, end), whole: bytes.length >= end, rest: bytes.slice(end) }
}

function readChunks(bytes: string, from: number): Rest {
  let body = ''
  for (let at = from; ;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16)
    if (lineEnd === -1 || Number.isNaN(size)) return { body, whole: false, rest: '' }
    if (size === 0) {
      const end = bytes.indexOf('\r\n\r\n', lineEnd)
      return { body, whole: end !== -1, rest: end === -1 ? '' : bytes.slice(end + 4) }
    }
    body += bytes.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 4 + size
  }
}
