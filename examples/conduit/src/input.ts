/**
 * Reads what a client sent, field by field, and collects everything that is wrong with it, so that one answer names
 * every mistake. Nothing that PostgreSQL would refuse (a NUL, half a surrogate pair) or that would only fill the disc
 * passes. A reader that refused a field returns a placeholder: call {@link Input.verify} before using any value.
 */
import { type Messages, Refusal } from './refusal.ts'

export interface TextRule {
  /** The longest text accepted, in UTF-16 code units. */
  readonly max: number
  readonly min?: number
  /** Take white space off both ends: for names, where it would make two look the same. */
  readonly trim?: boolean
  readonly pattern?: RegExp
}

const MAX_TAGS = 50
const MAX_TAG_LENGTH = 100
const BLANK = "can't be blank"

export class Input {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #problems: Messages = {}

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  /** The fields under `name` in a request's body; if there are none, each counts as left blank. */
  static within(body: unknown, name: string): Input {
    return Input.#of(body, name) ?? new Input({})
  }

  /** The changes under `name` in a request's body, which may be few, but must be there. */
  static changesWithin(body: unknown, name: string): Input {
    const input = Input.#of(body, name)
    if (!input) throw new Refusal(422, { [name]: [BLANK] })
    return input
  }

  static #of(body: unknown, name: string): Input | undefined {
    const outer = body === undefined ? {} : body
    if (!isRecord(outer)) throw new Refusal(422, { body: ['must be an object'] })
    const inner = Object.hasOwn(outer, name) ? outer[name] : undefined
    if (inner === undefined || inner === null) return undefined
    if (!isRecord(inner)) throw new Refusal(422, { [name]: ['must be an object'] })
    return new Input(inner)
  }

  has(field: string): boolean {
    return Object.hasOwn(this.#values, field) && this.#values[field] !== undefined
  }

  /** A text that must be there. */
  text(field: string, rule: TextRule): string {
    const value = this.has(field) ? this.#values[field] : null
    if (value === null) return this.#refused(field, BLANK)
    if (typeof value !== 'string') return this.#refused(field, 'must be a string')
    const text = rule.trim ? value.trim() : value
    if (text.trim() === '') return this.#refused(field, BLANK)
    return this.#checked(field, text, rule)
  }

  /** A text that may be left out, but not emptied: `undefined` if it was not sent. */
  changedText(field: string, rule: TextRule): string | undefined {
    return this.has(field) ? this.text(field, rule) : undefined
  }

  /** A text that may be left out or emptied: `null` if it was emptied. */
  nullableText(field: string, rule: TextRule): string | null | undefined {
    if (!this.has(field)) return undefined
    const value = this.#values[field]
    if (value === null || value === '') return null
    if (typeof value !== 'string') return this.#refused(field, 'must be a string or null')
    return this.#checked(field, value, rule)
  }

  /** Tags in their order, trimmed, each once; `undefined` if none were sent. */
  tags(field: string): string[] | undefined {
    if (!this.has(field)) return undefined
    const value = this.#values[field]
    if (!Array.isArray(value) || !value.every((tag): tag is string => typeof tag === 'string')) {
      this.refuse(field, 'must be an array of strings')
      return []
    }
    const tags = [...new Set(value.map((tag) => tag.trim()).filter((tag) => tag !== ''))]
    if (tags.length > MAX_TAGS) this.refuse(field, `has too many tags (maximum is ${MAX_TAGS})`)
    for (const tag of tags) this.#checked(field, tag, { max: MAX_TAG_LENGTH })
    return tags
  }

  refuse(field: string, message: string): void {
    const messages = (this.#problems[field] ??= [])
    if (!messages.includes(message)) messages.push(message)
  }

  /** Throws a {@link Refusal} with everything that was wrong. */
  verify(): void {
    if (Object.keys(this.#problems).length > 0) throw new Refusal(422, this.#problems)
  }

  #refused(field: string, message: string): string {
    this.refuse(field, message)
    return ''
  }

  #checked(field: string, text: string, rule: TextRule): string {
    if (!isStorable(text)) return this.#refused(field, 'has characters that cannot be stored')
    if (text.length > rule.max) return this.#refused(field, `is too long (maximum is ${rule.max} characters)`)
    if (rule.min !== undefined && text.length < rule.min) {
      return this.#refused(field, `is too short (minimum is ${rule.min} characters)`)
    }
    if (rule.pattern && !rule.pattern.test(text)) return this.#refused(field, 'is invalid')
    return text
  }
}

/** Whether PostgreSQL takes this text as it is. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
