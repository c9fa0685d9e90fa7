/** What a host of a system of several needs, whatever its role: its name, its data directory, settings that fit. */

import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

import { endLeftovers } from '../leftovers.ts'
import { createSystemFile, type SystemFile } from '../system-file.ts'
import { takeOwnership } from '../../engines/postgres/embedded/owner.ts'
import { createSupervisor, type Supervisor } from '../../clones/supervisor.ts'
import { FourfoldError } from '../../core/errors.ts'
import { addressFromUrl, type PostgresTls } from '../../engines/postgres/address.ts'

import type { ResolvedConfig } from '../config.ts'
import type { ConfigProblem } from '../../core/config.ts'
import type { Logger } from '../../core/log.ts'
import type { ConnectStoreOptions } from '../../store/connect.ts'

export type HostRole = 'balancer' | 'clones'

export type Closer = () => Promise<unknown> | void

/** All that stands in the way of a role, in one error. @throws FF_CONFIG_INVALID */
export function requireHostSettings(config: ResolvedConfig, role: HostRole): void {
  const problems = [...storeProblems(config), ...secretProblems(config)]
  if (role === 'clones') problems.push(...databaseProblems(config), ...cloneProblems(config))
  if (problems.length === 0) return
  const lines = problems.map(({ path, message }) => `  ${path}: ${message}`)
  const message = `these settings do not fit \`--role ${role}\`, where the other processes are on other hosts:\n${lines.join('\n')}`
  throw new FourfoldError('FF_CONFIG_INVALID', message, { fields: { problems } })
}

function storeProblems({ store, databases }: ResolvedConfig): ConfigProblem[] {
  const path = 'store.url'
  if (store.database !== undefined) {
    if (databases[store.database]?.url !== undefined) return []
    return [{ path: 'store.database', message: 'expected a database with a url: one that is embedded has one host' }]
  }
  if (store.url === undefined)
    return [{ path, message: 'is required: the embedded store can be reached from its own host only' }]
  if (!store.url.startsWith('unix:')) return []
  return [
    { path, message: 'expected redis://, rediss:// or postgres://: a Unix socket can be reached from one host only' },
  ]
}

function secretProblems({ sessions }: ResolvedConfig): ConfigProblem[] {
  if (sessions.secrets?.length) return []
  const message = 'is required: set FOURFOLD_SECRETS, the same on every host'
  return [{ path: 'sessions.secrets', message }]
}

function databaseProblems({ databases }: ResolvedConfig): ConfigProblem[] {
  return Object.entries(databases).flatMap(([name, { url }]) => {
    if (url !== undefined) return []
    return [
      { path: `databases.${name}.url`, message: 'is required: an embedded database can be reached from one host only' },
    ]
  })
}

const everyAddress = new Set(['0.0.0.0', '::', '*', ''])

function cloneProblems({ clones }: ResolvedConfig): ConfigProblem[] {
  if (clones.advertise !== undefined || !everyAddress.has(clones.host)) return []
  const message = `is required where clones.host is ${JSON.stringify(clones.host)}: balancers must be told one address`
  return [{ path: 'clones.advertise', message }]
}

/** The host's name: the machine's, and something that tells two machines of one name apart. Kept in the data directory. */
export async function readHostName(dataDir: string): Promise<string> {
  const path = join(dataDir, 'host-name')
  await mkdir(dataDir, { recursive: true })
  const draft = `${path}.${process.pid}`
  const name = `${hostname().replaceAll(/[^\w.-]/g, '-')}-${randomBytes(3).toString('hex')}`
  await writeFile(draft, name, { flush: true })
  await link(draft, path).catch(() => undefined)
  await rm(draft, { force: true })
  return (await readFile(path, 'utf8')).trim()
}

/** One system on a data directory at a time, and nothing left of the one before. */
export async function takeHost(dataDir: string, log: Logger, closers: Closer[]): Promise<SystemFile> {
  await endLeftovers(dataDir, log)
  const ownership = await takeOwnership(dataDir)
  closers.push(() => ownership.release())
  const systemFile = createSystemFile(dataDir, log)
  closers.push(() => systemFile.remove())
  return systemFile
}

/** A supervisor whose processes are in the file from the moment they are spawned until they are gone. */
export function superviseHost(log: Logger, systemFile: SystemFile): Supervisor {
  const supervisor = createSupervisor({ log })
  supervisor.subscribe((event) => {
    if (event.type !== 'state') return
    const { id, state, process: child } = event.member
    if (state === 'starting') systemFile.add(id, child.pid)
    if (state === 'exited') systemFile.drop(id)
  })
  return supervisor
}

/** How a process without databases reaches the store. */
export function storeOf({ store, databases }: ResolvedConfig): StoreAddress {
  const deadlineMs = store.deadlineMs
  const database = store.database === undefined ? undefined : databases[store.database]
  if (database?.url === undefined) return { url: store.url ?? '', deadlineMs }
  const tls = database.tls as boolean | PostgresTls | undefined
  const address = addressFromUrl(database.url, tls, `databases.${store.database}.url`)
  return { url: 'postgres:', address, deadlineMs }
}

export type StoreAddress = Pick<ConnectStoreOptions, 'url' | 'address' | 'deadlineMs'>

/** Closes in reverse order; each part gets its turn even if another fails. */
export async function closeAll(closers: readonly Closer[], log: Logger): Promise<void> {
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      log.error({ error }, 'one part did not stop cleanly')
    }
  }
}
