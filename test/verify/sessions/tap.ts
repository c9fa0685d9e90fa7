/** Changes what some statements answer, on every connection of this process, whichever way they are sent. */

import pg from 'pg'

type Change = (this: pg.Client, answer: pg.QueryResult, text: string) => pg.QueryResult
type Callback = (error: Error | null, answer?: pg.QueryResult) => void
type Query = (this: pg.Client, config: unknown, ...rest: unknown[]) => unknown

export function tapAnswers(texts: readonly string[], change: Change): void {
  const prototype = pg.Client.prototype as unknown as { query: Query }
  const original = prototype.query
  prototype.query = function (config, ...rest) {
    if (typeof config !== 'string' || !texts.includes(config)) return original.call(this, config, ...rest)
    const callback = rest.at(-1)
    if (typeof callback === 'function') {
      const done: Callback = (error, answer) =>
        (callback as Callback)(error, answer === undefined ? undefined : change.call(this, answer, config))
      return original.call(this, config, ...rest.slice(0, -1), done)
    }
    const result = original.call(this, config, ...rest) as Promise<pg.QueryResult>
    return result.then((answer) => change.call(this, answer, config))
  }
}
