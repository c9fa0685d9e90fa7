/**
 * A host that runs clones, and workers beside them: `fourfold start --role clones`. Its clones announce themselves in the store,
 * and balancers of other hosts send them requests once their build is admitted. With `--role workers` it runs workers alone.
 *
 * Which build runs here is what the files are when it is started. Which build may answer is not decided here.
 */

import { closeAll, readHostName, requireHostSettings, storeOf, superviseHost, takeHost, type Closer } from './host.ts'
import { configSchemaText, type ResolvedConfig } from '../config.ts'
import { prepareDatabases } from '../connections.ts'
import { startControlServer, type ControlHandler } from '../control-server.ts'
import { cloneGroup, trackerGroup, type CloneGroupOptions } from '../groups.ts'
import { workerCount, workerGroup } from '../workers.ts'
import { givenStoreUrl } from '../store-address.ts'
import { readAdmission } from '../../clones/hosts/admission-record.ts'
import { credentialKeys } from '../../clones/hosts/credential.ts'
import { readPorts } from '../../clones/hosts/listen.ts'
import { makeBuild, pruneBuilds, type Build } from '../../clones/build/snapshot.ts'
import { FourfoldError } from '../../core/errors.ts'
import { connectStore } from '../../store/connect.ts'

import type { HostsCloneSettings } from '../hosts-clone.ts'
import type { StartOptions } from '../start.ts'
import type { GroupOptions, Supervisor } from '../../clones/supervisor.ts'
import type { Logger } from '../../core/log.ts'

export interface ClonesHost {
  readonly host: string
  readonly build: Build
  readonly supervisor: Supervisor
  /** May be called twice. */
  stop(): Promise<void>
}

type ClonesOptions = Omit<StartOptions, 'inPlace' | 'seedProgress'> & {
  /** Default: `clones`, with workers beside them. */
  readonly role?: 'clones' | 'workers'
}

/** Processes with pools beside the clones: one for commands run beside each host. */
const otherProcesses = 4
/** During a rollout two builds run side by side. */
const buildsAtOnce = 2
/** A drained clone has as long again to end; and it says that it is gone. */
const lastWordsMs = 1500

/** Resolves when every clone is ready. @throws FF_CONFIG_INVALID, FF_ENGINE_OWNED, FF_CLONES_START and what databases throw */
export async function startClones(options: ClonesOptions): Promise<ClonesHost> {
  const { config, log, signal, onStep = () => undefined } = options
  requireHostSettings(config, 'clones')
  const closers: Closer[] = []
  let stopping: Promise<void> | null = null
  const stop = (): Promise<void> => (stopping ??= closeAll(closers, log))
  const step = (what: string): void => {
    signal?.throwIfAborted()
    onStep(what)
  }
  try {
    const running = await startParts(options, closers, step)
    signal?.throwIfAborted()
    return { ...running, stop }
  } catch (error) {
    await stop()
    throw signal?.aborted === true ? signal.reason : error
  }
}

async function startParts(
  options: ClonesOptions,
  closers: Closer[],
  step: (what: string) => void,
): Promise<Omit<ClonesHost, 'stop'>> {
  const { app, appFile, config, overrides, log, signal, role = 'clones' } = options
  const systemFile = await takeHost(config.dataDir, log, closers)
  step('build')
  const build = await makeBuild({ appFile, dataDir: config.dataDir, schema: configSchemaText })
  await pruneBuilds(config.dataDir, config.rollout.keep, [build.id])
  step('database')
  const phase = await migrationPhase(config, build, log)
  const workers = role === 'workers' ? Math.max(1, workerCount(app, config)) : workerCount(app, config)
  const processes = (config.clones.max + workers) * buildsAtOnce + otherProcesses
  const databases = await prepareDatabases({ config, directory: app.directory, processes, phase, log })
  closers.push(() => databases.stop())
  step('clones')
  const host = await readHostName(config.dataDir)
  const supervisor = superviseHost(log, systemFile)
  closers.push(() => supervisor.stop())
  const callOff = (): void => void supervisor.stop()
  signal?.addEventListener('abort', callOff)
  const connections = { databases: databases.databases, storeUrl: givenStoreUrl(config) ?? '' }
  const secrets = config.sessions.secrets ?? []
  // One on each host: the replication slot decides who works.
  const trackers = trackerGroup(config, connections)
  if (trackers !== null) await supervisor.run(trackers)
  const clones = { appFile, config, overrides, connections, secrets, build }
  if (role === 'clones') await supervisor.run(announcedGroup(clones, host))
  await supervisor.run(workerGroup(clones, workers))
  signal?.removeEventListener('abort', callOff)
  const control = await startControlServer(config.dataDir, controlHandlers(supervisor, config, host, build))
  closers.push(() => control.close())
  systemFile.publish({ url: `${role} of ${host}`, connections })
  closers.push(() => systemFile.publish(null))
  return { host, build, supervisor }
}

/** Whether the old build must be able to live with what is migrated now: yes, unless this one is admitted already, or none is. */
async function migrationPhase(config: ResolvedConfig, build: Build, log: Logger): Promise<'all' | 'expand'> {
  const store = await connectStore({ ...storeOf(config), deadlineMs: askStoreMs, log })
  try {
    const record = await readAdmission(store)
    return record === null || record.admission.current.id === build.id ? 'all' : 'expand'
  } catch (error) {
    log.warn({ error }, 'the store is away: only migrations of the expand phase are run')
    return 'expand'
  } finally {
    await store.close()
  }
}

const askStoreMs = 2000

/** The clones of one host as a group: each drains itself at all balancers before it ends. */
function announcedGroup(options: CloneGroupOptions & { readonly build: Build }, host: string): GroupOptions {
  const { config, secrets } = options
  const { graceMs, advertise, ports } = config.clones
  const hosts: HostsCloneSettings = {
    host,
    listenHost: config.clones.host,
    advertise: advertise ?? config.clones.host,
    ports: ports === undefined ? null : readPorts(ports),
    keys: credentialKeys(secrets),
    graceMs,
  }
  const group = cloneGroup(options)
  return {
    ...group,
    spec: (index) => {
      const spec = group.spec(index)
      const settings = { ...(spec.settings as object), hosts }
      return { ...spec, settings, graceMs: 2 * graceMs + lastWordsMs }
    },
  }
}

function membersOf(supervisor: Supervisor, kind: string): { id: string; state: string; pid: number | undefined }[] {
  return supervisor.members(kind).map(({ id, state, process }) => ({ id, state, pid: process.pid }))
}

/** What commands on this host may ask. */
function controlHandlers(
  supervisor: Supervisor,
  config: ResolvedConfig,
  host: string,
  build: Build,
): Readonly<Record<string, ControlHandler>> {
  const refuse = (): never => {
    const message =
      'this host runs clones for balancers of other hosts: start the new build beside it, then `fourfold rollout --admit <build>`'
    throw new FourfoldError('FF_ROLLOUT_REFUSED', message)
  }
  return {
    scale: async (input) => {
      const { clones } = input as { clones: number }
      if (!Number.isInteger(clones) || clones < 1 || clones > config.clones.max) {
        const message = `expected 1 to ${config.clones.max} clones (clones.max), got ${String(clones)}`
        throw new FourfoldError('FF_ROLLOUT_REFUSED', message)
      }
      await supervisor.setCount('clone', clones)
    },
    host: () => ({
      host,
      build: build.id,
      clones: membersOf(supervisor, 'clone'),
      workers: membersOf(supervisor, 'worker'),
    }),
    rollout: refuse,
    abort: refuse,
    // What is admitted, and what of it runs, is the same on all hosts: `fourfold hosts`.
    status: refuse,
  }
}
