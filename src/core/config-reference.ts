/** Writes the reference page of a configuration from its schema, so that the page is never behind the code. */

import { describeExpected, environmentName, type Field, type GroupField } from './config-schema.ts'

/**
 * The settings as Markdown: a heading per group, a table row per key.
 *
 * @param aliases short environment names and the paths they stand for
 */
export function renderConfigReference(schema: GroupField, aliases: Readonly<Record<string, string>>): string {
  return renderGroup(schema, '', aliases).join('\n')
}

function renderGroup(group: GroupField, path: string, aliases: Readonly<Record<string, string>>): readonly string[] {
  const lines = [`## ${path === '' ? 'The app' : `\`${path}\``}`, '', group.summary, '']
  const rows = Object.entries(group.fields).filter(([, field]) => !isNested(field))
  lines.push('| key | takes | default | environment | meaning |', '|---|---|---|---|---|')
  for (const [key, field] of rows) lines.push(renderRow(key, field, path, aliases))
  lines.push('')
  for (const [key, field] of Object.entries(group.fields)) {
    const here = path === '' ? key : `${path}.${key}`
    if (field.kind === 'group') lines.push(...renderGroup(field, here, aliases))
    if (field.kind === 'record') lines.push(...renderGroup(field.of, `${here}.<${field.name}>`, aliases))
  }
  return lines
}

function renderRow(key: string, field: Field, path: string, aliases: Readonly<Record<string, string>>): string {
  const here = path === '' ? key : `${path}.${key}`
  const short = Object.keys(aliases).find((name) => aliases[name] === here.replace('<name>', 'main'))
  const names = field.kind === 'code' ? [] : [environmentName(here).replace('_NAME_', '_<NAME>_')]
  if (short !== undefined) names.push(short)
  const cells = [
    `\`${key}\``,
    expects(field),
    defaultOf(field),
    names.map((name) => `\`${name}\``).join(' or '),
    field.summary,
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function expects(field: Field): string {
  if (field.kind !== 'countOrList' || field.of.kind !== 'group') return describeExpected(field)
  return `a whole number, or a list of \`{ ${Object.keys(field.of.fields).join(', ')} }\``
}

function defaultOf(field: Field): string {
  if (field.required === true) return 'required'
  return 'default' in field && field.default !== undefined ? `\`${JSON.stringify(field.default)}\`` : ''
}

function isNested(field: Field): boolean {
  return field.kind === 'group' || field.kind === 'record'
}
