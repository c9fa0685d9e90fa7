/**
 * Writes the reference pages that come from the code: `docs/reference/configuration.md` and
 * `docs/reference/errors.md`. With `--check` it writes nothing and fails if a page is behind.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { environmentAliases } from '../src/app/config.ts'
import { appSchema } from '../src/app/config/schema.ts'
import { renderConfigReference } from '../src/core/config-reference.ts'
import { errorRegistry } from '../src/core/errors.ts'

const note = '<!-- Written by `node -C fourfold:source scripts/docs.ts` from the code. Do not edit. -->'

/** The generated pages: their paths from the root of the repository, and what they must say. */
export function generatedPages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/reference/configuration.md', configurationPage()],
    ['docs/reference/errors.md', errorsPage()],
  ])
}

function configurationPage(): string {
  return `# Configuration

${note}

Settings stand in the app (\`defineApp\`), and the environment and the command line override them: defaults, then the
app, then the environment, then the command line.

**The environment's rule**: \`FOURFOLD_\` and the path in upper snake case, so \`store.url\` is \`FOURFOLD_STORE_URL\` and
\`databases.main.url\` is \`FOURFOLD_DATABASES_MAIN_URL\`. Lists are separated by commas, TLS options are JSON. Short
names: ${Object.entries(environmentAliases)
    .map(([name, path]) => `\`${name}\` for \`${path}\``)
    .join(', ')}; the full name wins over the short one. A variable that is empty counts as absent. One that fits no
setting is reported as a warning.

A key that does not exist, a value of the wrong kind, a combination that cannot work: all mistakes are reported
together, each with its path, as \`FF_CONFIG_INVALID\`. \`fourfold config\` shows every setting and where it came from.

Durations are text such as \`"250ms"\`, \`"30s"\`, \`"1h30m"\`, \`"7d"\`, or milliseconds. Sizes are text such as \`"64KiB"\`
or \`"8MiB"\`, or bytes.

${renderConfigReference(appSchema, environmentAliases)}`
}

function errorsPage(): string {
  const rows = Object.entries(errorRegistry)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, entry]) => `| \`${code}\` | ${entry.summary} | ${entry.retryable ? 'yes' : 'no'} | ${entry.httpStatus} |`,
    )
  return `# Errors

${note}

Every error that Fourfold throws on purpose is a \`FourfoldError\`: branch on its \`code\`, never on its message. \`fields\`
holds the facts for programs, \`cause\` the error beneath. Retryable: the same call may succeed later without a change.
HTTP status: what the HTTP adapters answer when the error reaches them.

| code | meaning | retryable | HTTP status |
|---|---|---|---|
${rows.join('\n')}
`
}

/** The pages whose file says something else than it must. */
export function stalePages(): readonly string[] {
  return [...generatedPages()].filter(([path, text]) => readOrEmpty(path) !== text).map(([path]) => path)
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

if (import.meta.main) {
  const stale = stalePages()
  if (process.argv.includes('--check')) {
    for (const path of stale) console.error(`${path} is behind the code; run node -C fourfold:source scripts/docs.ts`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    for (const path of stale) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, generatedPages().get(path) ?? '')
      console.log(`wrote ${path}`)
    }
  }
}
