/**
 * A state as a short text: two states are the same when their texts are. Every number and letter becomes one byte, and
 * lists end in a byte that nothing else uses, so that no two states share a text. Bytes in one buffer, rather than
 * texts put together, because this is what a search spends most of its time on.
 */

import type { Clone, Entry, Fill, Message, Read, State, Token } from './freshness-state.ts'
import type { Scenario } from './freshness-scenarios.ts'
import { canStartAgain, isVisibleOfUse } from './freshness-tracker-steps.ts'

/** Numbers are small and no less than -1; letters keep their codes. */
const zero = 0x80
const end = 0x7f
const none = 0x7e

export function createEncoder(scenario: Scenario): (state: State) => string {
  const bytes = Buffer.alloc(1024)
  let length = 0
  const put = (number: number): void => {
    bytes[length++] = zero + number
  }
  const putText = (text: string): void => {
    for (let index = 0; index < text.length; index++) bytes[length++] = text.charCodeAt(index)
    bytes[length++] = end
  }
  const putEntry = (entry: Entry | null | undefined): void => {
    if (!entry) {
      bytes[length++] = none
      return
    }
    put(entry.key === 'K' ? 0 : 1)
    put(entry.epoch)
    put(entry.asOf)
    put(entry.upTo)
    put(entry.replicaUpTo)
    putText(entry.value)
  }
  const putFill = (fill: Fill | null): void => {
    putEntry(fill)
    if (fill === null) return
    put((fill.source === 'primary' ? 0 : 2) + Number(fill.isForRead))
    putText(fill.todo)
  }
  const putMessage = (message: Message, isVisible: boolean): void => {
    put(message.epoch)
    put(message.from)
    put(message.to)
    if (isVisible) put(message.visible)
    put(message.joined)
    putText(message.rows)
  }
  const putClone = (clone: Clone, isVisible: boolean): void => {
    put((clone.stage === 'up' ? 0 : 2) + Number(clone.half))
    put(clone.epoch)
    put(clone.watermark)
    put(clone.floor)
    put(clone.joined)
    if (isVisible) put(clone.visible)
    for (const slot of clone.slots) put(slot)
    for (const message of clone.queue) putMessage(message, isVisible)
    bytes[length++] = end
    putEntry(clone.entries[0])
    putEntry(clone.entries[1])
    if (!isTimed) return
    const { age } = clone
    for (const number of [age.sentAt, age.asked, age.sampleAt, age.sample, age.reachedAt]) put(number)
  }
  const putToken = (token: Token): void => {
    put(token.epoch)
    put(token.lsn)
    put(token.replica)
  }
  const putRead = (read: Read): void => {
    put(read.done)
    putText(read.shown)
    if (read.stage === 'idle') return
    putText(read.stage)
    put(read.clone * 2 + (read.key === 'K' ? 0 : 1))
    putToken(read.need)
    put(read.upTo)
    putText(read.required)
    putText(read.value)
  }
  const isTimed = (scenario.bounds.budgets.ticks ?? 0) > 0

  return (state) => {
    length = 0
    const { primary, tracker, replica, woken, store } = state
    // What nobody will ever ask for makes no difference: states that differ in it alone have the same future.
    const isVisible = isVisibleOfUse(state, scenario)
    put(primary.epoch)
    put(primary.fork)
    put(primary.joined)
    putText(primary.unsent)
    put(canStartAgain(state) ? primary.slot : 0)
    put((primary.unsettled ? 1 : 0) + (tracker.isUp ? 2 : 0) + (isVisible ? 4 : 0) + (state.wrong === '' ? 0 : 8))
    putText(primary.log)
    putText(primary.invisible)
    putText(state.writes)
    put(tracker.epoch)
    put(tracker.start)
    put(tracker.published)
    if (isVisible) put(tracker.visible)
    if (replica !== null) {
      put(replica.epoch)
      put(replica.replay)
      putText(replica.log)
    }
    putText(woken === null ? '' : `${woken.commits}${woken.epoch}${woken.from}${isVisible ? woken.visible : ''}`)
    for (const clone of state.clones) putClone(clone, isVisible)
    putEntry(state.shared[0])
    putEntry(state.shared[1])
    for (const fill of state.fills) putFill(fill)
    putToken(store.token)
    putToken(store.before)
    put(store.floor)
    put(store.floorEpoch)
    putRead(state.read)
    for (const name in state.left) put(state.left[name as keyof State['left']])
    if (isTimed) {
      put(state.now)
      putText(state.times)
    }
    return bytes.toString('latin1', 0, length)
  }
}
