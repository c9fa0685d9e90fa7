/** The processes of one run: a store and clones of its own, as a system has them, without a balancer before them. */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { cloneGroup } from '../../app/groups.ts'
import { socketPathFor } from '../../app/socket-path.ts'
import { createSupervisor, type Supervisor } from '../../clones/supervisor.ts'
import { FourfoldError } from '../../core/errors.ts'
import { startStoreServer } from '../../store/memory/server.ts'
import { folderVariable, type AccessMessage } from './access-message.ts'

import type { ResolvedConfig } from '../../app/config.ts'
import type { Connections } from '../../app/connections.ts'
import type { Member } from '../../clones/slot.ts'
import type { Logger } from '../../core/log.ts'
import type { Access, Clones } from './replay.ts'

export interface RunClonesOptions {
  readonly config: ResolvedConfig
  readonly secrets: readonly string[]
  readonly databases: Connections['databases']
  /** A new folder, for this run alone. */
  readonly directory: string
  readonly count: number
  /** What a clone runs; where it has a disc of its own, that copy. */
  readonly placeOf: (clone: number) => Promise<ClonePlace>
  readonly log: Logger
  readonly signal: AbortSignal
}

export interface ClonePlace {
  readonly appFile: string
  /** The folder it works in, and the one for temporary files; absent: this process's own. */
  readonly folder?: string
  readonly temporary?: string
  /** Copies, and what they are copies of: what the app did there, it would have done here. */
  readonly standsFor?: readonly (readonly [copy: string, original: string])[]
}

/** Runs work with clones that end after it, however it ends. */
export async function withClones<T>(options: RunClonesOptions, work: (clones: Clones) => Promise<T>): Promise<T> {
  const { log, signal } = options
  const supervisor = createSupervisor({ log })
  const callOff = (): void => void supervisor.stop()
  signal.throwIfAborted()
  signal.addEventListener('abort', callOff)
  try {
    return await withStore(options, async (storeUrl) => {
      try {
        return await work(await startClones(options, supervisor, storeUrl))
      } finally {
        await supervisor.stop()
      }
    })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', callOff)
  }
}

async function startClones(options: RunClonesOptions, supervisor: Supervisor, storeUrl: string): Promise<Clones> {
  const { count, databases, signal } = options
  const heard = hearAccesses(supervisor)
  const places = await Promise.all(Array.from({ length: count }, (_, index) => options.placeOf(index + 1)))
  await supervisor.run(checkedClones(options, { databases, storeUrl }, places))
  return {
    numbers: places.map((_, index) => index + 1),
    address: (clone) => addressOf(supervisor, clone, signal),
    accesses: async (clone) => {
      // The channel keeps its order: what was said before the answer to a ping is here when the answer is.
      await memberOf(supervisor, clone)?.process.ping(channelMs)
      const accesses = heard.get(clone)?.splice(0) ?? []
      return accesses.map((access) => inOriginal(access, places[clone - 1]?.standsFor ?? []))
    },
  }
}

/** Runs work with an empty store, in this process; `config.store.url` leads to one that is there. */
export async function withStore<T>(
  { config, directory, log }: Pick<RunClonesOptions, 'config' | 'directory' | 'log'>,
  work: (storeUrl: string) => Promise<T>,
): Promise<T> {
  if (config.store.url !== undefined) return await work(config.store.url)
  await mkdir(directory, { recursive: true })
  const { path, directory: made } = await socketPathFor(directory, 'store')
  const store = await startStoreServer({ socketPath: path, logPath: join(directory, 'store.log'), log })
  try {
    return await work(`unix:${path}`)
  } finally {
    await store.stop()
    if (made !== null) await rm(made, { recursive: true, force: true })
  }
}

function checkedClones(
  { config, secrets, count }: RunClonesOptions,
  connections: Connections,
  places: readonly ClonePlace[],
): Parameters<Supervisor['run']>[0] {
  const counted = { ...config, clones: { ...config.clones, min: count, max: count } }
  const overrides = { dataDir: config.dataDir, logLevel: config.logLevel }
  const groups = places.map(({ appFile }) => cloneGroup({ appFile, config: counted, overrides, connections, secrets }))
  return {
    ...groups[0]!,
    spec: (index) => {
      const { folder, temporary } = places[index - 1]!
      return {
        ...groups[index - 1]!.spec(index),
        nodeArguments: ['--import', hearing().href],
        // What the report is written to stays the report's.
        output: 'stderr',
        env: {
          ...(folder === undefined ? {} : { [folderVariable]: folder }),
          ...(temporary === undefined ? {} : { TMPDIR: temporary }),
        },
      }
    },
  }
}

/** Beside this file: `.ts` from source, `.js` when built. */
function hearing(): URL {
  return new URL(`./hear-accesses.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
}

function inOriginal(access: Access, standsFor: NonNullable<ClonePlace['standsFor']>): Access {
  const rename = (path: string): string => {
    const found = standsFor.find(([copy]) => path === copy || path.startsWith(`${copy}/`))
    return found === undefined ? path : found[1] + path.slice(found[0].length)
  }
  return { ...access, resource: rename(access.resource), by: rename(access.by) }
}

const channelMs = 2_000

/** What each clone says it tried, also before its first request. */
function hearAccesses(supervisor: Supervisor): Map<number, Access[]> {
  const heard = new Map<number, Access[]>()
  supervisor.subscribe((event) => {
    if (event.type !== 'state' || event.member.kind !== 'clone' || event.member.state !== 'starting') return
    const { index, process: child } = event.member
    const list = heard.get(index) ?? []
    heard.set(index, list)
    child.listen((message) => {
      const { type, permission, resource, by } = message as unknown as AccessMessage
      if (type === 'access') list.push({ permission, resource, by })
    })
  })
  return heard
}

function memberOf(supervisor: Supervisor, clone: number): Member | undefined {
  return supervisor.members('clone').find(({ index, state }) => index === clone && state === 'ready')
}

const restartedWithinMs = 30_000

/** A clone that ended is started again by the supervisor; the requests after it wait for that. */
async function addressOf(
  supervisor: Supervisor,
  clone: number,
  signal: AbortSignal,
): Promise<{ host: string; port: number }> {
  const end = performance.now() + restartedWithinMs
  for (;;) {
    signal.throwIfAborted()
    const address = memberOf(supervisor, clone)?.address
    if (address !== undefined && 'port' in address) return address
    if (performance.now() > end) {
      throw new FourfoldError('FF_CLONES_START', `clone ${clone} ended during the check and did not come back`)
    }
    await delay(20)
  }
}
