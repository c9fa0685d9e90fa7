/**
 * Everything before a run: the epoch, what must be in the database, the slot, and the connection that reads it. The order
 * is the argument of decision 029: the position is read after the slot was taken, the epoch on the very connection that
 * takes it, and what the stream depends on is looked at after that.
 */

import { setTimeout as delay } from 'node:timers/promises'

import type pg from 'pg'

import type { Logger } from '../../core/log.ts'
import type { PostgresAddress } from '../../engines/postgres/address.ts'
import { cutConnection, endClient } from '../../engines/postgres/client-state.ts'
import { sqlState } from '../../engines/postgres/client.ts'
import { ensureEpoch, renewEpoch } from '../../engines/postgres/epoch.ts'
import { createClient } from '../../engines/postgres/pools.ts'
import { forgetSlots, install, type DdlPolicy, type Installation } from '../../engines/postgres/changes/installation.ts'
import { publicationName, slotName } from '../../engines/postgres/changes/names.ts'
import { isSynchronous, readStanding } from '../../engines/postgres/changes/observation.ts'
import { ReplicationConnection } from '../../engines/postgres/changes/replication-connection.ts'
import {
  createSlot,
  dropSlot,
  oldestTransaction,
  readHolder,
  readSlot,
  touchSlot,
  type SlotState,
} from '../../engines/postgres/changes/slot.ts'
import type { Epoch } from '../../engines/position.ts'
import type { Store } from '../../store/store.ts'
import { decodeMessage } from '../changes/message.ts'
import { SlotTaken, StreamBroken, StreamRefused } from './errors.ts'
import { FrameQueue } from './frame-queue.ts'
import { changeStream } from './publisher.ts'
import { Run, type RunOptions } from './run.ts'

export interface OpenRunOptions extends RunOptions {
  readonly address: PostgresAddress
  readonly ddl: DdlPolicy
  /** Hears that another tracker reads the slot, as often as it is asked. */
  readonly waiting: (reason: string) => void
  /** Ends the opening, however long it would still take. */
  readonly signal: AbortSignal
}

const statementTimeoutMs = 5000
const serverPatienceMs = 5000
const joinTimeoutMs = 30_000
/** A slot waits for the transactions that are open. */
const slotTimeoutMs = 600_000
const sayAfterMs = 5000
const slotRetryMs = 250
const slotIsActive = '55006'

/** @throws SlotTaken, StreamRefused, StreamBroken, or what went wrong on the way */
export async function openRun(options: OpenRunOptions): Promise<Run> {
  const opened: (() => void)[] = []
  const closeAll = (): void => {
    for (const close of opened.splice(0)) close()
  }
  options.signal.addEventListener('abort', closeAll)
  try {
    return await open(options, (close) => {
      opened.push(close)
      if (options.signal.aborted) closeAll()
    })
  } catch (error) {
    closeAll()
    throw sqlState(error) === slotIsActive ? new SlotTaken('another tracker reads the slot', { cause: error }) : error
  } finally {
    options.signal.removeEventListener('abort', closeAll)
  }
}

async function open(options: OpenRunOptions, opened: (close: () => void) => void): Promise<Run> {
  const { address, ddl, silenceMs, signal } = options
  const observer = await connect(address, statementTimeoutMs, opened, signal)
  const epoch = await settleEpoch(observer, options)
  const slot = await nameSlot(observer, options.database)
  await mustNotBeWaitedFor(observer, slot)
  await untilFree(observer, slot, options)
  const installation = await install(observer, ddl)
  await makeSlot(observer, slot, options, opened)
  const connection = await ReplicationConnection.open({
    address,
    deadlineMs: statementTimeoutMs,
    serverPatienceMs: Math.max(serverPatienceMs, silenceMs),
    signal,
  })
  opened(() => connection.close())
  if (connection.epoch !== epoch) throw new Error('the server has another epoch')
  const queue = makeQueue(connection)
  await connection.start(slot, publicationName, (frame) => queue.push(frame))
  const state = await confirm(observer, slot, connection, epoch, installation)
  const settled = state.begun !== null && state.confirmed > state.begun
  // Gives a number to a transaction behind everything that may be invisible: the next snapshot then shows what that is.
  if (!settled) await touchSlot(observer, slot)
  const keeper = await connect(address, joinTimeoutMs, opened, signal)
  const { fingerprint, blind } = installation
  const parts = { connection, observer, keeper, slot, epoch, fingerprint, from: state.confirmed, settled, blind, queue }
  const run = new Run(parts, options)
  await run.start()
  return run
}

async function connect(
  address: PostgresAddress,
  statementMs: number,
  opened: (close: () => void) => void,
  signal: AbortSignal,
): Promise<pg.Client> {
  const client = createClient(address, {
    max: 1,
    connectTimeoutMs: 5000,
    statementTimeoutMs: statementMs,
    applicationName: 'fourfold-tracker-aside',
  })
  client.on('error', () => undefined)
  let connected = false
  // One that is ended while it connects never says so to whoever waits for it.
  opened(() => (connected ? void endClient(client) : cutConnection(client)))
  signal.throwIfAborted()
  await client.connect()
  connected = true
  // What the tracker writes about itself must not wait for a standby that is away.
  await client.query('set synchronous_commit = local')
  return client
}

function makeQueue(connection: ReplicationConnection): FrameQueue {
  const tap = { pause: () => connection.pause(), resume: () => connection.resume() }
  return new FrameQueue(tap, () => connection.close())
}

/** A server that is behind what was published under its epoch is not the one that published it: FRESHNESS rule 4. */
async function settleEpoch(observer: pg.Client, { store, database, log }: OpenRunOptions): Promise<Epoch> {
  const epoch = await ensureEpoch(observer)
  const last = await readLast(store, database)
  if (last === null || !('epoch' in last) || last.epoch !== epoch) return epoch
  const { inserted } = await readStanding(observer, '')
  if (last.to <= inserted) return epoch
  log.warn({ published: last.to, server: inserted }, 'the server is behind what it had published: it was restored')
  return await renewEpoch(observer, epoch)
}

async function readLast(store: Store, database: string): Promise<ReturnType<typeof decodeMessage>> {
  const stream = changeStream(database)
  // Only where the store answers: without it nothing is published anyway.
  const { last } = await store.readStream(stream, 0, { limit: 1 })
  if (last === 0) return null
  const { entries } = await store.readStream(stream, last - 1, { limit: 1 })
  return entries[0] === undefined ? null : decodeMessage(entries[0].value)
}

async function nameSlot(observer: pg.Client, database: string): Promise<string> {
  const { rows } = await observer.query(
    'select oid::int8::float8 as oid from pg_database where datname = current_database()',
  )
  return slotName(database, Number((rows[0] as { oid: number }).oid))
}

async function mustNotBeWaitedFor(observer: pg.Client, slot: string): Promise<void> {
  const { rows } = await observer.query(`select current_setting('synchronous_standby_names') as names`)
  const { names } = rows[0] as { names: string }
  if (!isSynchronous(names)) return
  const reason = `synchronous_standby_names is ${JSON.stringify(names)}, so commits would wait for the reader of ${slot}: name the standbys in it`
  throw new StreamRefused(reason)
}

/** Waits here while another tracker works: one small statement each time. */
async function untilFree(observer: pg.Client, slot: string, { waiting, signal }: OpenRunOptions): Promise<void> {
  for (;;) {
    const pid = await readHolder(observer, slot)
    if (pid === null) return
    waiting(`process ${pid} of the server reads the slot for another tracker`)
    await delay(slotRetryMs, undefined, { signal })
  }
}

/** A slot that nobody wrote down may have a hole before it, and one that is lost has one. */
async function makeSlot(
  observer: pg.Client,
  slot: string,
  { address, log, signal }: OpenRunOptions,
  opened: (close: () => void) => void,
): Promise<void> {
  const state = await readSlot(observer, slot)
  if (state !== null && state.begun !== null && state.lost === null) return
  if (state !== null) {
    if (state.activePid !== null) throw new SlotTaken(`process ${state.activePid} reads the slot`)
    log.warn({ slot, reason: state.lost ?? 'changes may be missing before it' }, 'the slot is made anew')
    await dropSlot(observer, slot)
  }
  await createWhenPossible(slot, observer, log, () => connect(address, slotTimeoutMs, opened, signal))
}

async function createWhenPossible(
  slot: string,
  observer: pg.Client,
  log: Logger,
  connectAside: () => Promise<pg.Client>,
): Promise<void> {
  const timer = setInterval(() => {
    oldestTransaction(observer).then(
      (oldest) => log.warn({ slot, oldest }, 'the new slot waits for the transactions that are open'),
      () => undefined,
    )
  }, sayAfterMs)
  try {
    const client = await connectAside()
    await createSlot(client, slot)
    await endClient(client)
  } finally {
    clearInterval(timer)
  }
}

/** What the stream depends on, looked at while the slot is held: nobody changes it unnoticed from here on. */
async function confirm(
  observer: pg.Client,
  slot: string,
  connection: ReplicationConnection,
  epoch: Epoch,
  { fingerprint }: Installation,
): Promise<SlotState> {
  const state = await readSlot(observer, slot)
  const standing = await readStanding(observer, slot)
  if (state === null || state.activePid !== connection.pid) throw new Error('the slot was taken away')
  if (state.epoch !== epoch || standing.epoch !== epoch) throw new Error('the server has another epoch')
  if (state.begun === null) throw new StreamBroken('the slot was given up by another tracker')
  if (standing.fingerprint === fingerprint) return state
  await forgetSlots(observer)
  throw new StreamBroken('the publication or the event triggers were changed')
}
