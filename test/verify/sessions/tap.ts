/** Changes what some statements answer, on every connection of this process, whichever way they are sent. */

import pg from 'pg'

type Change = (this: pg.Client, answer: pg.QueryResult, text: string) => pg.QueryResult
type Callback = (error: Error | null, answer?: pg.QueryResult) => void
type Query = (this: pg.Client, config: unknown, ...rest: unknown[]) => unknown

export function tapAnswers(texts: readonly string[], change: Change): void {
  const prototype = pg.Client.prototype as unknown as { query: Query }
  const original = prototype.query
  prototype.query = function (config, ...rest) {
    const text = textOf(config)
    if (text === null || !texts.includes(text)) return original.call(this, config, ...rest)
    const callback = rest.at(-1)
    if (typeof callback === 'function') {
      const done: Callback = (error, answer) =>
        (callback as Callback)(error, answer === undefined ? undefined : change.call(this, answer, text))
      return original.call(this, config, ...rest.slice(0, -1), done)
    }
    const result = original.call(this, config, ...rest) as Promise<pg.QueryResult>
    return result.then((answer) => change.call(this, answer, text))
  }
}

/** Of what answers with a promise or a callback; query objects and cursors speak for themselves. */
function textOf(config: unknown): string | null {
  if (typeof config === 'string') return config
  if (typeof config !== 'object' || config === null || 'submit' in config) return null
  return (config as { readonly text?: string }).text ?? null
}
