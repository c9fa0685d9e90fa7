/** The processes of a system as groups of its supervisor: pure functions from what is wanted to what is spawned. */

import type { AppOptions, ResolvedConfig } from './config.ts'
import type { TrackerSettings } from './trackers.ts'
import type { Connections } from './connections.ts'
import type { CloneSettings } from './processes/clone.ts'
import type { PageFrontSettings } from './page-front.ts'
import type { Build } from '../clones/build/snapshot.ts'
import type { GroupOptions } from '../clones/supervisor.ts'

/** The embedded store, as a process of its own: a clone or a supervisor that dies takes nothing along. */
export function storeGroup(socketPath: string, logPath: string, { logLevel }: ResolvedConfig): GroupOptions {
  const settings = { socketPath, logPath, logLevel }
  return { kind: 'store', count: 1, together: false, spec: () => ({ entry: processEntry('store'), settings }) }
}

/** The trackers of all databases whose changes are followed, in one process; null where there is none. */
export function trackerGroup(config: ResolvedConfig, connections: Connections): GroupOptions | null {
  if (!Object.values(connections.databases).some(({ changes }) => changes === true)) return null
  const settings: TrackerSettings = { config, connections }
  return { kind: 'tracker', count: 1, together: false, spec: () => ({ entry: processEntry('tracker'), settings }) }
}

export interface CloneGroupOptions {
  readonly appFile: string
  readonly config: ResolvedConfig
  /** What the command line said: it wins over the app and the environment. */
  readonly overrides: AppOptions
  readonly connections: Connections
  readonly secrets: readonly string[]
  /** The build they run. Default: the app's own files, whatever they are at each start. */
  readonly build?: Build | null
}

export function cloneGroup(options: CloneGroupOptions): GroupOptions {
  const { config, build = null } = options
  const { writes, graceMs, min } = config.clones
  const settings = appSettings(options)
  return {
    kind: 'clone',
    count: min,
    ...(build === null ? {} : { buildId: build.id }),
    spec: (index) => ({
      entry: processEntry('clone'),
      settings: { ...settings, name: `clone-${index}` },
      writes,
      graceMs,
    }),
  }
}

/** What every process is told that opens the app, but for its name. */
export function appSettings(options: CloneGroupOptions): Omit<CloneSettings, 'name'> {
  const { config, overrides, connections, secrets, build = null } = options
  return {
    appFile: build?.appFile ?? options.appFile,
    ...(build === null ? {} : { build }),
    connections,
    config: withSecrets(overrides, secrets),
    writes: config.clones.writes,
    logLevel: config.logLevel,
  }
}

/**
 * @param port asked for at every start: where any free port was wanted, a second start must take the first one's
 * @param pages what the balancer answers pages with; null: clones answer them
 */
export function balancerGroup(
  { balancer, clones, sessions, logLevel }: ResolvedConfig,
  port: () => number,
  pages: PageFrontSettings | null = null,
): GroupOptions {
  return {
    kind: 'balancer',
    count: 1,
    together: false,
    spec: () => ({
      entry: processEntry('balancer'),
      settings: {
        ...balancer,
        readerCookie: sessions.cookie,
        port: port(),
        logLevel,
        ...(pages === null ? {} : { pages }),
      },
      graceMs: clones.graceMs,
    }),
  }
}

/** Secrets travel to clones in their settings, not on a command line, where others could read them. */
export function withSecrets(overrides: AppOptions, secrets: readonly string[]): AppOptions {
  return { ...overrides, sessions: { ...overrides.sessions, secrets: [...secrets] } }
}

/** The file of a process, beside this one: `.ts` from source, `.js` when built. */
export function processEntry(
  name: 'store' | 'clone' | 'worker' | 'job-thread' | 'balancer' | 'tracker' | 'release',
): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./processes/${name}.${extension}`, import.meta.url)
}
