/** Values of settings as messages and listings show them: short, and without what is secret. */

import { redactUrl } from './redact-url.ts'

import type { Field } from './config-schema.ts'

export function showField(field: Field, value: unknown): string {
  if (isSecret(field)) return '***'
  if (field.kind === 'text' && field.url === true) return redactUrl(String(value))
  return show(value)
}

export function isSecret(field: Field): boolean {
  if (field.kind === 'list') return isSecret(field.of)
  return (field.kind === 'text' || field.kind === 'data') && field.secret === true
}

/** A value as a message may show it: short, and addresses without passwords. */
export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' && /^[a-z][a-z+.-]*:\/\//i.test(part) ? redactUrl(part) : part,
  )
  if (text === undefined) return String(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}
