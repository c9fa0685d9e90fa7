/**
 * Breaches of the protocol, planted into a clone's process from outside, so that the harness can show that it would
 * catch them. No production code knows of them.
 */

import { tapAnswers } from './tap.ts'
import { REPLAY_POSITION_SQL, WRITE_POSITION_SQL } from '../../../src/engines/postgres/positions.ts'
import { TokenStore } from '../../../src/freshness/token-store.ts'

import type { Position } from '../../../src/engines/position.ts'

export const plants = ['inside-transaction', 'after-response', 'other-connection', 'epoch-ignored'] as const
export type Plant = (typeof plants)[number]

export const plantNames: Record<Plant, string> = {
  'inside-transaction': 'token read inside the transaction',
  'after-response': 'token moved after the response',
  'other-connection': 'replay position polled on another connection',
  'epoch-ignored': 'epoch ignored',
}

/** Positions read inside a reader's open transaction, for the plant of that name. */
export const earlyPositions = new Map<string, Position>()

export function plant(name: Plant): void {
  if (name === 'inside-transaction')
    plantRaise((reader, position, raise) => raise(earlyPositions.get(reader) ?? position))
  if (name === 'after-response') {
    plantRaise((_reader, position, raise) => {
      setTimeout(() => void raise(position), 30)
      return Promise.resolve(true)
    })
  }
  if (name === 'other-connection') plantNewestPosition()
  if (name === 'epoch-ignored') plantRows((row) => (row['epoch'] === null ? row : { ...row, epoch: 'same' }))
}

type Raise = (position: Position | null) => Promise<boolean>

function plantRaise(change: (reader: string, position: Position | null, raise: Raise) => Promise<boolean>): void {
  const original = TokenStore.prototype.raise
  TokenStore.prototype.raise = function (reader, position) {
    return change(reader, position, (changed) => original.call(this, reader, changed))
  }
}

/** Every connection believes the newest position that was read on any. */
function plantNewestPosition(): void {
  let newest: Row | null = null
  plantRows((row, text) => {
    if (text !== REPLAY_POSITION_SQL) return row
    if (newest === null || row['epoch'] !== newest['epoch'] || isLater(row['lsn'], newest['lsn'])) newest = row
    return newest
  })
}

function isLater(left: unknown, right: unknown): boolean {
  const number = (text: string): number =>
    Number.parseInt(text.split('/')[0] ?? '', 16) * 2 ** 32 + Number.parseInt(text.split('/')[1] ?? '', 16)
  return number(String(left)) > number(String(right))
}

type Row = Record<string, unknown>

/** Changes what position queries answer. */
function plantRows(change: (row: Row, text: string) => Row): void {
  tapAnswers([REPLAY_POSITION_SQL, WRITE_POSITION_SQL], (answer, text) => {
    answer.rows = answer.rows.map((row: Row) => change(row, text))
    return answer
  })
}
