/**
 * A state of the session model as a short text, which is what its search spends most of its time on: every number and
 * letter is one byte, and everything of varying length ends in a byte of its own.
 */

import type { Parts, Position, State } from './session-state.ts'

const zero = 0x82
const end = 0x7f
const none = 0x7e
const budgetNames = ['others', 'crashes', 'failovers', 'replicaCrashes', 'drops', 'storeLosses', 'unknowns'] as const

export function createEncoder(): (state: State) => string {
  const bytes = Buffer.alloc(1024)
  let length = 0
  const put = (...numbers: readonly number[]): void => {
    for (const number of numbers) bytes[length++] = zero + number
  }
  const putText = (text: string): void => {
    for (let index = 0; index < text.length; index++) bytes[length++] = text.charCodeAt(index)
    bytes[length++] = end
  }
  const putPosition = (position: Position | null): void => {
    if (position === null) bytes[length++] = none
    else put(position.epoch, position.lsn)
  }
  const putParts = (parts: Parts): void => {
    for (const epoch in parts) put(Number(epoch), parts[Number(epoch)] ?? 0)
    bytes[length++] = end
  }

  return ({ primary, replicas, clones, store, writes, reads, budgets }) => {
    length = 0
    put(primary.flushed, primary.epoch, primary.nextEpoch)
    putText(primary.log)
    for (const log of replicas) putText(log)
    for (const clone of clones) {
      put(clone.view, clone.replica)
      putPosition(clone.known)
      if (clone.floor === null) bytes[length++] = none
      else put(clone.floor.incarnation, clone.floor.epoch, clone.floor.lsn)
    }
    put(store.incarnation)
    putParts(store.token)
    putParts(store.before)
    putParts(store.floors)
    for (const write of writes) {
      putText(write.stage)
      put(write.end, Number(write.acknowledged))
      putPosition(write.position)
    }
    for (const read of reads) {
      putText(read.stage)
      putText(read.required)
      putParts(read.seen)
      put(read.incarnation)
      putPosition(read.need)
      putPosition(read.fetched)
      if (read.snapshot === null) bytes[length++] = none
      else putText(read.snapshot)
      putText(read.wrong)
    }
    for (const name of budgetNames) put(budgets[name])
    return bytes.toString('latin1', 0, length)
  }
}
