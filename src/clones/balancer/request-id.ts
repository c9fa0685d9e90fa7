/**
 * Ids for requests that bring none. They look like a UUID, and are made of one that is drawn when the balancer starts
 * and again now and then, with a count in its last part: drawing one for each request costs more than all other headers.
 */

import { randomBytes, randomUUID } from 'node:crypto'

const countDigits = 12
const perDraw = 2 ** 24

export type NextRequestId = () => string

export function createRequestIds(): NextRequestId {
  let prefix = ''
  let count = 0
  let last = 0
  return () => {
    if (count === last) {
      prefix = randomUUID().slice(0, -countDigits)
      count = randomBytes(4).readUInt32BE()
      last = count + perDraw
    }
    count += 1
    return prefix + count.toString(16).padStart(countDigits, '0')
  }
}
