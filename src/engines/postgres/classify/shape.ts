/**
 * The shape of a query: its text without its literals. What a query does never hangs on a literal, so queries that are
 * written anew with each value are judged once; parsing one costs about a hundred times as much as this.
 *
 * Only what can be cut into tokens without knowing the server's settings has a shape. Whatever else there is, from
 * backslashes to comments, is left to the grammar.
 */

const query = /^\s*(?:select|with|values|table)\b/i
/** Escapes, dollar quotes and comments; and the literal that says what a name is. */
const beyondTokens = /\\|\$[^\d]|--|\/\*|uescape/i
// Whole words, so that digits in names stay; quoted names and parameters as they are; then strings and numbers.
const tokens = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|"(?:[^"]|"")*"|\$\d+|'(?:[^']|'')*'|\d[\w.]*/g

/** The text with all literals alike, or null where it has no shape. */
export function shapeOf(sql: string): string | null {
  if (!query.test(sql) || beyondTokens.test(sql)) return null
  return sql.replace(tokens, (token) => {
    const first = token.charCodeAt(0)
    if (first === 0x27) return `''`
    return first >= 0x30 && first <= 0x39 ? '0' : token
  })
}
