/** The part of JSONPath that names one place: `$.user.tags[0]['first name']`. */

export type JsonPath = readonly (string | number)[]

/** Null where it is something else, such as a search. */
export function parseJsonPath(text: string): JsonPath | null {
  if (!text.startsWith('$')) return null
  const keys: (string | number)[] = []
  let rest = text.slice(1)
  while (rest !== '') {
    const match = /^(?:\.([\w$-]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\])/.exec(rest)
    if (match === null) return null
    const [whole, dotted, index, single, double] = match
    keys.push(index === undefined ? (dotted ?? single ?? double ?? '') : Number(index))
    rest = rest.slice(whole.length)
  }
  return keys
}

export function formatJsonPath(path: JsonPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return /^[\w$-]+$/.test(key) ? `${text}.${key}` : `${text}['${key}']`
  }, '$')
}

/** What stands there; undefined where nothing does. */
export function readJsonPath(value: unknown, path: JsonPath): unknown {
  let found = value
  for (const key of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as Record<string | number, unknown>)[key]
  }
  return found
}
