/** One answer of a clone, as it came. */

export interface Answer {
  readonly status: number
  /** Names in small letters, in the order in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** Why there is no whole answer; null: there is one. */
  readonly failure: string | null
}

export function headerOf({ headers }: Answer, name: string): string | undefined {
  return headers.find(([found]) => found === name)?.[1]
}
