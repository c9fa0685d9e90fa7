/**
 * Breaches of the protocol, planted into clones from outside, so that the harness can show that it would catch them.
 * No production code knows of them. The harness writes a breach's name into a file and signals the clones, which then
 * read it; a clone that was not started with such a file has nothing planted and nothing prepared.
 */

import { readFileSync } from 'node:fs'

import { tapAnswers } from './tap.ts'
import {
  parseWritePosition,
  REPLAY_POSITION_SQL,
  WRITE_POSITION_SQL,
  type WritePositionRow,
} from '../../../src/engines/postgres/positions.ts'
import { TokenStore } from '../../../src/freshness/token-store.ts'

import type { Position } from '../../../src/engines/position.ts'
import type pg from 'pg'

export const breaches = ['inside-transaction', 'after-response', 'other-connection', 'epoch-ignored'] as const
export type Breach = (typeof breaches)[number]

export const breachNames: Record<Breach, string> = {
  'inside-transaction': 'token read inside the transaction',
  'after-response': 'token moved after the response',
  'other-connection': 'replay position polled on another connection',
  'epoch-ignored': 'epoch ignored',
}

/** Names the file for {@link listenForBreaches}. */
export const breachFileVariable = 'VERIFY_BREACH_FILE'
export const breachSignal = 'SIGUSR2'

let planted: Breach | null = null

/** In a clone: follows the file that the environment names. */
export function listenForBreaches(): void {
  const file = process.env[breachFileVariable]
  if (file === undefined || file === '') return
  plantRaise()
  plantRows()
  const read = (): void => {
    planted = breaches.find((name) => name === readFileSync(file, 'utf8')) ?? null
  }
  process.on(breachSignal, read)
  read()
}

/** Positions read inside a reader's open transaction. */
const earlyPositions = new Map<string, Position>()

/** Before COMMIT: the plant reads the position that only the commit may give. */
export async function readTooEarly(client: pg.PoolClient, reader: string): Promise<void> {
  if (planted !== 'inside-transaction') return
  const { rows } = await client.query(WRITE_POSITION_SQL)
  const position = parseWritePosition(rows[0] as WritePositionRow)
  if (position !== null) earlyPositions.set(reader, position)
}

function plantRaise(): void {
  const original = TokenStore.prototype.raise
  TokenStore.prototype.raise = function (reader, position) {
    if (planted === 'inside-transaction') return original.call(this, reader, earlyPositions.get(reader) ?? position)
    if (planted !== 'after-response') return original.call(this, reader, position)
    setTimeout(() => void original.call(this, reader, position), 30)
    return Promise.resolve(true)
  }
}

type Row = Record<string, unknown>

/** Changes what position queries answer. */
function plantRows(): void {
  tapAnswers([REPLAY_POSITION_SQL, WRITE_POSITION_SQL], (answer, text) => {
    if (planted === 'epoch-ignored') answer.rows = answer.rows.map(withoutEpoch)
    if (planted === 'other-connection' && text === REPLAY_POSITION_SQL) answer.rows = answer.rows.map(newestOf)
    return answer
  })
}

function withoutEpoch(row: Row): Row {
  return row['epoch'] === null ? row : { ...row, epoch: 'same' }
}

/** The newest answer of any connection, by epoch, as each database has its own. */
const newest = new Map<unknown, Row>()

function newestOf(row: Row): Row {
  const known = newest.get(row['epoch'])
  if (known !== undefined && !isLater(row['lsn'], known['lsn'])) return known
  newest.set(row['epoch'], row)
  return row
}

function isLater(left: unknown, right: unknown): boolean {
  const number = (text: string): number =>
    Number.parseInt(text.split('/')[0] ?? '', 16) * 2 ** 32 + Number.parseInt(text.split('/')[1] ?? '', 16)
  return number(String(left)) > number(String(right))
}
