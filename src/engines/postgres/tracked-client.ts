/**
 * A client on the primary that tells of every commit that wrote, with its position, before the commit's promise
 * resolves (FRESHNESS rules 2 and 31).
 *
 * - A transaction reads its position in COMMIT's own round trip: `COMMIT; SELECT position`. The position is read after
 *   the commit; inside the transaction it would be too early, and a replica could pass it without the transaction.
 * - A statement of its own (autocommit) is followed by a position query on the same connection.
 * - A transaction that was assigned no transaction id wrote nothing and moves no token.
 * - When the commit succeeded and the position did not come, the write resolves and the position is null: an error
 *   would invite the caller to write twice.
 */

import pg from 'pg'

import { parseWritePosition, WRITE_POSITION_SQL, type WritePositionRow } from './positions.ts'

import type { Classifier } from './classify.ts'
import type { WritePosition } from '../position.ts'

/** Told of each commit that wrote. The write's promise waits for what this returns. */
export type CommitObserver = (position: WritePosition | null) => Promise<void>

type QueryInput = string | pg.QueryConfig
type Callback = (error: Error | null, result?: pg.QueryResult) => void

const commitPattern = /^\s*(?:commit|end)\b(?!\s+prepared)/i
const preparedPattern = /\bprepared\b/i
// Reads whether this transaction wrote before it ends; costs no round trip of its own.
const wroteSql = 'SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS wrote'

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
  /** Set while somebody holds this client. */
  observer: CommitObserver | null = null
  /** Set once, before the client is used. */
  classifier: Classifier | null = null
  #dirty = false

  // The overloads of pg's query cannot be spelled out again here; what comes in and goes out is pg's own.
  // @ts-expect-error -- narrower than pg's overload set, equal at run time
  override query(config: QueryInput | pg.Submittable, values?: unknown[] | Callback, callback?: Callback): unknown {
    const done = typeof values === 'function' ? values : callback
    const parameters = typeof values === 'function' ? undefined : values
    if (typeof config === 'object' && 'submit' in config) {
      this.#dirty = true
      return super.query(config)
    }
    const result = this.#run(config, parameters)
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

  async #run(config: QueryInput, values: unknown[] | undefined): Promise<pg.QueryResult> {
    const text = typeof config === 'string' ? config : config.text
    const kind = this.classifier?.classify(text).kind ?? 'write'
    if (kind === 'read' && !this.#dirty) return await super.query(config as string, values)
    if (commitPattern.test(text)) return await this.#commit(text)
    const result = await super.query(config as string, values)
    const wrote = kind === 'write' || (kind === 'transaction' && preparedPattern.test(text))
    if (this.getTransactionStatus() !== 'I') {
      if (wrote) this.#dirty = true
    } else {
      const tell = wrote || (this.#dirty && kind !== 'transaction')
      this.#dirty = false
      if (tell) await this.#tell(await this.#readPosition())
    }
    return result
  }

  async #commit(text: string): Promise<pg.QueryResult> {
    if (!this.#dirty || this.getTransactionStatus() !== 'T') {
      this.#dirty = false
      return await super.query(text)
    }
    this.#dirty = false
    const { results, committed } = await this.#submitCommit(text)
    const [wrote, commit, position] = results
    if (commit === undefined) {
      if (committed) await this.#tell(null)
      return { command: 'COMMIT', rowCount: null, rows: [], oid: 0, fields: [] }
    }
    if (commit.command === 'COMMIT' && wrote?.rows[0]?.wrote === true) {
      const row = position?.rows[0] as WritePositionRow | undefined
      await this.#tell(row === undefined ? null : parseWritePosition(row))
    }
    return commit
  }

  #submitCommit(text: string): Promise<{ results: readonly pg.QueryResult[]; committed: boolean }> {
    return new Promise((resolve, reject) => {
      const script = `${wroteSql};\n${text}\n;${WRITE_POSITION_SQL}`
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

  async #readPosition(): Promise<WritePosition | null> {
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
