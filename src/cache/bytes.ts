/** Bytes among values: what of them may be cached. */

import { types } from 'node:util'

/** Buffer and all typed arrays, DataView, ArrayBuffer: of these very classes, over memory that no other thread has. */
export function isBytes(value: object): value is ArrayBufferView | ArrayBuffer {
  if (ArrayBuffer.isView(value)) {
    const known = Buffer.isBuffer(value) || bytesNames.has(value.constructor?.name)
    return known && !types.isSharedArrayBuffer(value.buffer)
  }
  return types.isArrayBuffer(value)
}

export const bytesNames: ReadonlySet<string> = new Set([
  'Uint8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Uint32Array',
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'DataView',
])
