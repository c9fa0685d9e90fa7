/** Forms: what was typed, and a form shown again with what was wrong. */
import { Input } from '../input.ts'
import { Refusal } from '../refusal.ts'
import { type Content, type Html, html } from './html.ts'

/** A form's fields as they were typed. */
export type Typed = Readonly<Record<string, string>>

export interface Form {
  readonly input: Input
  readonly typed: Typed
  /** All the values of fields that were sent more than once. */
  readonly lists: Readonly<Record<string, string[]>>
}

/** A form's fields; browsers end lines with CR LF, the app keeps them as LF. */
export function readForm(body: unknown): Form {
  const entries = Object.entries((body ?? {}) as Record<string, unknown>)
  const lists = Object.fromEntries(entries.map(([field, value]) => [field, texts(value)]))
  const typed = Object.fromEntries(Object.entries(lists).map(([field, values]) => [field, values[0] ?? '']))
  return { input: new Input(typed), typed, lists }
}

/** Runs what a form asks for; if it is refused, `again` shows the form with the messages. */
export async function refusingWith<T>(work: () => Promise<T>, again: (refusal: Refusal) => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // What is not there, or not theirs, is no matter of what was typed.
    if (!(error instanceof Refusal) || error.status === 404 || error.status === 403) throw error
    return again(error)
  }
}

export interface FieldOptions {
  readonly type?: 'text' | 'email' | 'password' | 'url'
  readonly placeholder: string
  readonly value?: string
  readonly autocomplete?: string
  readonly rows?: number
  readonly large?: boolean
  /** Say what the field is above it, too: for fields that are filled when they are first seen. */
  readonly labelled?: boolean
}

/** HTML leaves out one newline right after the tag: without this one, a text's own first newline would be lost. */
const notText = '\n'

/** One field. Its placeholder says what it is, and so does its label, for those who do not see the placeholder. */
export function field(name: string, options: FieldOptions): Html {
  const { placeholder, value = '', rows } = options
  const className = options.large ? 'form-control form-control-lg' : 'form-control'
  const autocomplete = options.autocomplete && html` autocomplete="${options.autocomplete}"`
  const label = options.labelled && html`<label for="field-${name}">${placeholder}</label>`
  const shared = html`class="${className}" id="field-${name}" name="${name}" aria-label="${placeholder}"
  placeholder="${placeholder}"${autocomplete}`
  const control: Content =
    rows === undefined
      ? html`<input ${shared} type="${options.type ?? 'text'}" value="${value}" />`
      : html`<textarea ${shared} rows="${rows}">${notText}${value}</textarea>`
  return html`<fieldset class="form-group">${label}${control}</fieldset> `
}

/** A field for a file. What was chosen is lost when a form is shown again: browsers let nobody fill it in. */
export function fileField(name: string, label: string, accept: readonly string[]): Html {
  return html`<fieldset class="form-group">
    <label for="field-${name}">${label}</label>
    <input class="form-control" id="field-${name}" name="${name}" type="file" accept="${accept.join(',')}" />
  </fieldset> `
}

function texts(value: unknown): string[] {
  const values = Array.isArray(value) ? value : [value]
  return values.map((text) => (typeof text === 'string' ? text.replace(/\r\n?/g, '\n') : ''))
}
