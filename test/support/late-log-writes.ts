/**
 * A planted fault: the log's bytes reach the kernel a moment after write(2) seems to have taken them, so a server that
 * is killed in between has acknowledged what is nowhere.
 */

import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const lateMs = 20
const writeSync = fs.writeSync
let begun = false
const writeLate = (file: number, bytes: Buffer | string, offset = 0): number => {
  // The log's first record is written as usual: without it there is no store to lose anything from. Texts are log lines.
  if (!begun || typeof bytes === 'string') {
    begun ||= typeof bytes !== 'string'
    return writeSync(file, bytes as Buffer, offset)
  }
  setTimeout(() => writeSync(file, bytes, offset), lateMs)
  return bytes.length - offset
}
fs.writeSync = writeLate as typeof fs.writeSync
syncBuiltinESMExports()
