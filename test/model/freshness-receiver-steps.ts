/**
 * What a clone does with the stream: rules 7, 8, 14 and 16. A message may be lost to it, and a clone may die and join
 * again.
 */

import type { Context } from './freshness-breaches.ts'
import { newClone, setClone, spend, withItem, type Clone, type Message, type State } from './freshness-state.ts'
import type { Step } from './explorer.ts'

export function receiverSteps(state: State, context: Context): Step<State>[] {
  return state.clones.flatMap((clone, index) =>
    clone.stage === 'joining' ? joinSteps(state, context, index) : upSteps(state, context, clone, index),
  )
}

function upSteps(state: State, context: Context, clone: Clone, index: number): Step<State>[] {
  const steps: Step<State>[] = []
  const [message, ...queue] = clone.queue
  if (message !== undefined) {
    const { label, ...change } = receive(clone, message, context)
    steps.push({ label: `clone ${index} ${label}`, next: { ...state, clones: setClone(state, index, change) } })
    if (state.left.drops > 0 && !clone.half) {
      steps.push({
        label: `(${message.from}, ${message.to}] never reaches clone ${index}`,
        next: { ...state, clones: setClone(state, index, { queue }), left: spend(state, 'drops') },
      })
    }
  }
  if (state.left.joins > 0) {
    steps.push({
      label: `clone ${index} dies; its successor subscribes`,
      next: {
        ...state,
        clones: withItem(state.clones, index, newClone),
        fills: withItem(state.fills, index, null),
        left: spend(state, 'joins'),
      },
    })
  }
  return steps
}

/** Accepts a message that begins where this receiver has been, else forgets and starts from where it begins. */
function receive(clone: Clone, message: Message, context: Context): Partial<Clone> & { readonly label: string } {
  const queue = clone.queue.slice(1)
  const isOtherEpoch = clone.epoch !== message.epoch
  const isGap = message.from > clone.watermark && !context.commits('7: a gap goes unnoticed')
  const isForgetting = clone.epoch === 0 || isOtherEpoch || isGap
  const watermark = isForgetting ? message.to : Math.max(clone.watermark, message.to)
  const visible = isOtherEpoch ? message.visible : Math.max(clone.visible, message.visible)
  const joined = isOtherEpoch ? message.joined : Math.max(clone.joined, message.joined)
  const known = { epoch: message.epoch, watermark, visible, joined }
  if (context.commits('8: the watermark moves before the filter') && !clone.half && message.rows !== '') {
    const floor = isForgetting ? message.from : clone.floor
    return { label: `moves its watermark to ${watermark}, the filter later`, ...known, floor, half: true }
  }
  if (!isForgetting) {
    const slots = raiseSlots(clone.slots, message, context)
    return {
      label: `receives (${message.from}, ${message.to}]: watermark ${watermark}`,
      ...known,
      queue,
      slots,
      half: false,
    }
  }
  const isFirst = clone.epoch === 0
  const floor = isFirst && context.commits('16: a joiner without a snapshot has no floor') ? 0 : message.from
  const slots = raiseSlots(newClone.slots, message, context)
  return {
    label: `forgets, and starts again from ${message.from}: watermark ${watermark}`,
    ...known,
    queue,
    slots,
    floor,
  }
}

function raiseSlots(slots: readonly number[], message: Message, context: Context): readonly number[] {
  if (message.rows === '') return slots
  const raised = slots.slice()
  const position = context.commits('1: commits are stamped with their start') ? message.from : message.to
  const isSet = context.commits('7: slots are set instead of raised')
  for (const slot of context.scenario.bounds.slots[message.rows === 'x' ? 'x' : 'y']) {
    raised[slot] = isSet ? position : Math.max(raised[slot] ?? 0, position)
  }
  return raised
}

/** It has subscribed already. It loads another clone's filter, or starts without. */
function joinSteps(state: State, context: Context, index: number): Step<State>[] {
  const isLoaded = (state.clones[index]?.epoch ?? 0) > 0
  const steps: Step<State>[] = [
    {
      label: isLoaded ? `clone ${index} subscribes` : `clone ${index} starts without a snapshot`,
      next: { ...state, clones: setClone(state, index, { stage: 'up' }) },
    },
  ]
  if (isLoaded) return steps
  const stage = context.commits('16: a snapshot is loaded before subscribing') ? 'joining' : 'up'
  state.clones.forEach((other, at) => {
    if (at === index || other.stage !== 'up' || other.epoch === 0) return
    const { epoch, watermark, slots, visible, joined } = other
    const queue = stage === 'up' ? (state.clones[index]?.queue ?? []) : []
    const floor = context.commits('16: a snapshot is loaded without its floor') ? 0 : other.floor
    const loaded: Partial<Clone> = { stage, epoch, watermark, floor, slots, visible, joined, queue }
    steps.push({
      label: `clone ${index} loads the filter of clone ${at}: floor ${floor}, watermark ${watermark}`,
      next: { ...state, clones: setClone(state, index, loaded) },
    })
  })
  return steps
}
