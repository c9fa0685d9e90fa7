/** `fourfold doctor`: whether the database servers allow what Fourfold needs of them, and what to do where they do not. */

import { FourfoldError } from '../core/errors.ts'
import { redactUrl } from '../core/redact-url.ts'
import { readSystemNote } from '../app/system-file.ts'
import { addressFromUrl, type PostgresAddress, type PostgresTls } from '../engines/postgres/address.ts'
import { judgeServer, type Finding } from '../engines/postgres/changes/requirements.ts'
import { readServerFacts } from '../engines/postgres/changes/server-facts.ts'
import { removeStream, setUpStream } from '../engines/postgres/changes/upkeep.ts'
import { loadCommand, type CommandContext, type CommonOptions } from './settings.ts'

export interface DoctorOptions extends CommonOptions {
  readonly json?: boolean
  readonly setup?: boolean
  /** The address of a role that may make event triggers. */
  readonly as?: string
  readonly removeStream?: boolean
}

export interface DatabaseReport {
  readonly database: string
  /** Without its password; `embedded` for a server of Fourfold's own. */
  readonly server: string
  readonly findings: readonly Finding[]
}

const timeoutMs = 10_000

/** Prints what was found of each database; ends with 1 where anything fails. */
export async function doctor(file: string, options: DoctorOptions): Promise<void> {
  const context = await loadCommand(file, options)
  const reports: DatabaseReport[] = []
  for (const database of Object.keys(context.config.databases)) {
    const address = await findAddress(database, context)
    if (address !== null && options.setup === true) await setUp(database, address, context, options)
    if (address !== null && options.removeStream === true) await remove(database, address)
    if (options.removeStream !== true) reports.push(await examine(database, address, context))
  }
  if (options.removeStream === true) return
  console.log(
    options.json === true ? JSON.stringify({ databases: reports }, null, 2) : reports.map(format).join('\n\n'),
  )
  if (reports.some(({ findings }) => findings.some(({ level }) => level === 'fail'))) process.exitCode = 1
}

async function examine(
  database: string,
  address: PostgresAddress | null,
  { config }: CommandContext,
): Promise<DatabaseReport> {
  const settings = config.databases[database]
  const server = settings?.url === undefined ? 'embedded' : redactUrl(settings.directUrl ?? settings.url)
  if (address === null) {
    const what = 'embedded, and not running: Fourfold starts it with everything that is needed'
    return { database, server, findings: [{ id: 'reachable', level: 'ok', what }] }
  }
  const ddl = settings?.ddl ?? 'any'
  try {
    const facts = await readServerFacts({ name: database, address, timeoutMs, probe: true })
    const found = judgeServer(facts, { ddl })
    const off = settings?.changeStream === 'off'
    return { database, server, findings: off ? found.map(soften) : found }
  } catch (error) {
    const what = `the server does not answer: ${error instanceof Error ? error.message : String(error)}`
    const fix = `Check databases.${database}.url, the network, and that the server runs.`
    return { database, server, findings: [{ id: 'reachable', level: 'fail', what, fix, blocks: 'stream' }] }
  }
}

/** Who has switched the stream off does not need what it needs. */
function soften(finding: Finding): Finding {
  return finding.level === 'fail' ? { ...finding, level: 'warn' } : finding
}

/** Past a pooler, as the tracker connects. Null for an embedded server that does not run. */
async function findAddress(name: string, { config }: CommandContext): Promise<PostgresAddress | null> {
  const settings = config.databases[name]
  const url = settings?.directUrl ?? settings?.url
  if (url !== undefined) return addressFromUrl(url, settings?.tls as boolean | PostgresTls | undefined)
  const note = await readSystemNote(config.dataDir)
  return note?.connections.databases[name]?.direct ?? null
}

async function setUp(
  name: string,
  address: PostgresAddress,
  { config }: CommandContext,
  { as }: DoctorOptions,
): Promise<void> {
  const ddl = config.databases[name]?.ddl ?? 'any'
  const tls = config.databases[name]?.tls as boolean | PostgresTls | undefined
  const privileged = as === undefined ? undefined : { ...addressFromUrl(as, tls, '--as'), database: address.database }
  const blind = await setUpStream(address, ddl, privileged)
  if (blind === null) return
  const message = `databases.${name}: ${blind}. Give a role that may: --as postgres://USER:PASSWORD@HOST/DATABASE`
  throw new FourfoldError('FF_ENGINE_PERMISSION', message)
}

async function remove(name: string, address: PostgresAddress): Promise<void> {
  const statements = await removeStream(name, address)
  console.log(`${name}: the change stream is gone`)
  if (statements.length === 0) return
  console.log('Replica identities are as they were left. To put them back:')
  for (const statement of statements) console.log(`  ${statement};`)
}

function format({ database, server, findings }: DatabaseReport): string {
  const lines = findings.flatMap(({ level, what, fix }) => [
    `  ${level.padEnd(4)}  ${what}`,
    ...(fix === undefined ? [] : [`        fix: ${fix}`]),
  ])
  return [`${database}  ${server}`, ...lines].join('\n')
}
