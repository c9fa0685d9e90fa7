/**
 * A client on the primary that tells of every commit that wrote, with its position, before the commit's promise
 * resolves (FRESHNESS rules 2 and 31).
 *
 * - A transaction reads its position in COMMIT's own round trip: `COMMIT; SELECT position`. The position is read after
 *   the commit; inside the transaction it would be too early, and a replica could pass it without the transaction.
 * - A statement of its own (autocommit) has a position query right behind it on the same connection: the server takes
 *   it up when the statement has committed, and answers both in one round trip.
 * - A transaction that was assigned no transaction id wrote nothing and moves no token.
 * - What a statement did to the transaction is known only when it is done: so statements that were queued without
 *   waiting are sent one after the other, as pg itself would.
 * - A connection that is lost under a statement is FF_DATABASE_CONNECTION_LOST, with pg's error as its cause.
 * - When the commit succeeded and the position did not come, the write resolves and the position is null: an error
 *   would invite the caller to write twice.
 */

import pg from 'pg'

import { FourfoldError } from '../../core/errors.ts'
import { connectionLost, isConnectionLost } from './connection-errors.ts'
import { isAtRest, setPipelining } from './client-state.ts'
import { parseWritePosition, WRITE_POSITION_SQL, type WritePositionRow } from './positions.ts'

import type { Classification, Classifier } from './classify.ts'
import type { WritePosition } from '../position.ts'

/** Told of each commit that wrote. The write's promise waits for what this returns. */
export type CommitObserver = (position: WritePosition | null) => Promise<void>

/** `behind`: sent right behind the statement when that is a transaction of its own, and answered to nobody. */
type QueryInput = string | (pg.QueryConfig & { readonly behind?: string })
type Callback = (error: Error | null, result?: pg.QueryResult) => void

const commitPattern = /^\s*(?:commit|end)\b(?!\s+prepared)/i
const preparedPattern = /\bprepared\b/i
// Reads whether this transaction wrote before it ends; costs no round trip of its own.
const wroteSql = 'SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS wrote'

/** Statements whose answer is one result and nothing else, so that another may be sent behind them unseen. */
const pipelinePattern = /^\s*(?:insert|update|delete|merge)\b/i

const noop = (): void => undefined

/** pg's Query does this; its published types do not tell. */
interface CommandListener {
  handleCommandComplete(message: { readonly text: string }, connection: unknown): void
}

/** The same: pg's types leave out the form with a callback. */
type CallbackQueryClass = new (text: string, callback: (error: Error | null, results: unknown) => void) => pg.Query
const CallbackQuery = pg.Query as unknown as CallbackQueryClass

/** Collects the command tags, so that a connection lost right after COMMIT does not turn success into an error. */
function collectCommands(query: pg.Query): readonly string[] {
  const commands: string[] = []
  const listener = query as unknown as CommandListener
  const handle = listener.handleCommandComplete.bind(query)
  listener.handleCommandComplete = (message, connection) => {
    commands.push(message.text)
    handle(message, connection)
  }
  return commands
}

export class TrackedClient extends pg.Client {
  /** Set while somebody holds this client whose commits move tokens. */
  observer: CommitObserver | null = null
  /** Set once, before the client is used. */
  classifier: Classifier | null = null
  /** Whether the open transaction may have written. A hint: at COMMIT the server is asked. */
  #dirty = false
  #queued: Promise<unknown> | null = null

  // The overloads of pg's query cannot be spelled out again here; what comes in and goes out is pg's own.
  // @ts-expect-error -- narrower than pg's overload set, equal at run time
  override query(config: QueryInput | pg.Submittable, values?: unknown[] | Callback, callback?: Callback): unknown {
    const done = typeof values === 'function' ? values : callback
    const parameters = typeof values === 'function' ? undefined : values
    if (typeof config === 'object' && 'submit' in config) {
      this.#submit(config)
      if (this.#queued === null) return super.query(config)
      this.#defer(config)
      return config
    }
    const result = this.#enqueue(config, parameters).catch((error: unknown) => {
      throw isConnectionLost(error) ? connectionLost(error) : error
    })
    if (done === undefined) return result
    result.then(
      (value) => done(null, value),
      (error: unknown) => done(error as Error),
    )
    return undefined
  }

  /** Runs a statement without telling anybody: for Fourfold's own. */
  async plain(text: string, values?: unknown[]): Promise<pg.QueryResult> {
    return await super.query(text, values)
  }

  /** A query object tells nobody when it is done, so its commit has to be a statement of its own. */
  #submit(query: pg.Submittable): void {
    const { text, cursor } = query as { readonly text?: unknown; readonly cursor?: { readonly text?: unknown } }
    const sql = text ?? cursor?.text
    const reads = typeof sql === 'string' && this.classifier?.classify(sql).kind === 'read'
    if (reads) return
    if (this.#queued === null && this.getTransactionStatus() === 'I') {
      const message =
        'A query object, cursor or COPY stream that may write needs a transaction around it: query("begin") first'
      throw new FourfoldError('FF_DATABASE_CURSOR', message)
    }
    this.#dirty = true
  }

  /** Behind what is queued: a cursor among statements that are sent without waiting would get their answers. */
  #defer(query: pg.Submittable): void {
    const sent = (this.#queued ?? Promise.resolve())
      .then(() => super.query(query))
      .then(noop, noop)
      .then(() => {
        if (this.#queued === sent) this.#queued = null
      })
    this.#queued = sent
  }

  #enqueue(config: QueryInput, values: unknown[] | undefined): Promise<pg.QueryResult> {
    const text = typeof config === 'string' ? config : config.text
    const known = this.classifier?.classify(text)
    if (known?.kind === 'read' && !this.#dirty && this.#queued === null) return super.query(config as string, values)
    const run = (): Promise<pg.QueryResult> => this.#run(config, values, known)
    const result = this.#queued === null ? run() : this.#queued.then(run)
    const done = result.then(noop, noop).then(() => {
      if (this.#queued === done) this.#queued = null
    })
    this.#queued = done
    return result
  }

  async #run(
    config: QueryInput,
    values: unknown[] | undefined,
    known: Classification | undefined,
  ): Promise<pg.QueryResult> {
    const text = typeof config === 'string' ? config : config.text
    if (known?.statements === 1 && commitPattern.test(text)) return await this.#commit(text)
    const pages = typeof config === 'object' && 'rows' in config
    if (known?.statements === 1 && !this.#dirty && !pages && pipelinePattern.test(text) && isAtRest(this)) {
      return await this.#write(config, values)
    }
    const kind = known?.kind ?? 'write'
    const wrote = kind === 'write' || (kind === 'transaction' && preparedPattern.test(text))
    const before = this.#dirty
    // Before it is sent: of several statements in one text, the first may last where a later one fails. A cursor of a
    // function that writes is only a matter of the session by its text.
    this.#dirty ||= wrote || kind === 'session' || (known?.statements ?? 0) > 1
    const result = await super.query(config as string, values).catch((error: unknown) => {
      if (this.getTransactionStatus() === 'I') this.#dirty = false
      throw error
    })
    if (this.getTransactionStatus() !== 'I') {
      // A commit with the next transaction behind it: in there, a position that cannot be read would fail it.
      if ((wrote || before) && [result].flat().some(({ command }) => command === 'COMMIT')) await this.#tell(null)
      return result
    }
    this.#dirty = false
    const rolledBack = kind === 'transaction' && result.command === 'ROLLBACK'
    if (wrote || (before && !rolledBack)) await this.#tell(await this.#readPosition())
    await this.#sendBehind(config)
    return result
  }

  /** One statement that commits by itself, and its position behind it. */
  async #write(config: QueryInput, values: unknown[] | undefined): Promise<pg.QueryResult> {
    let reading: Promise<WritePosition | null> | null = null
    let told: Promise<void> | null = null
    try {
      // Only for these two: what comes after them may need its answer before the next is sent.
      setPipelining(this, true)
      const writing = super.query(config as string, values)
      reading = this.#readPosition()
      told = this.#sendBehind(config)
      const result = await writing
      await this.#tell(await reading)
      return result
    } finally {
      await reading
      await told
      setPipelining(this, false)
    }
  }

  async #sendBehind(config: QueryInput): Promise<void> {
    if (typeof config === 'string' || config.behind === undefined) return
    await super.query(config.behind).then(noop, noop)
  }

  async #commit(text: string): Promise<pg.QueryResult> {
    const likely = this.#dirty
    this.#dirty = false
    if (this.getTransactionStatus() !== 'T') return await super.query(text)
    const { results, committed } = await this.#submitCommit(text, likely)
    const [wrote, commit, position] = results
    if (commit === undefined) {
      if (committed) await this.#tell(null)
      return { command: 'COMMIT', rowCount: null, rows: [], oid: 0, fields: [] }
    }
    if (commit.command === 'COMMIT' && wrote?.rows[0]?.wrote === true) {
      const row = position?.rows[0] as WritePositionRow | undefined
      await this.#tell(row === undefined ? await this.#readPosition() : parseWritePosition(row))
    }
    return commit
  }

  /** The position comes along where a write is likely. What a view or an operator writes shows in no text, only here. */
  #submitCommit(text: string, likely: boolean): Promise<{ results: readonly pg.QueryResult[]; committed: boolean }> {
    return new Promise((resolve, reject) => {
      const script = `${wroteSql};\n${text}\n;${likely ? WRITE_POSITION_SQL : ''}`
      const query = new CallbackQuery(script, (error: Error | null, results: unknown) => {
        const committed = commands.some((command) => command.startsWith('COMMIT'))
        if (error === null) resolve({ results: results as pg.QueryResult[], committed })
        else if (committed) resolve({ results: [], committed })
        else reject(error)
      })
      const commands = collectCommands(query)
      super.query(query)
    })
  }

  /** Null, too, where nobody wants to know. */
  async #readPosition(): Promise<WritePosition | null> {
    if (this.observer === null) return null
    try {
      const { rows } = await super.query(WRITE_POSITION_SQL)
      return parseWritePosition(rows[0] as WritePositionRow)
    } catch {
      return null
    }
  }

  async #tell(position: WritePosition | null): Promise<void> {
    await this.observer?.(position)
  }
}
