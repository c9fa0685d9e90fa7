/**
 * A planted fault: the log's bytes reach the kernel a moment after write(2) seems to have taken them, so a server that
 * is killed in between has acknowledged what is nowhere.
 */

import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const lateMs = 20
const writeSync = fs.writeSync
const writeLate = (file: number, bytes: Buffer, offset: number): number => {
  // The start of the log is written as usual: without it there is no store to lose anything from.
  if (process.uptime() < 0.5) return writeSync(file, bytes, offset)
  setTimeout(() => writeSync(file, bytes, offset), lateMs)
  return bytes.length - offset
}
fs.writeSync = writeLate as typeof fs.writeSync
syncBuiltinESMExports()
