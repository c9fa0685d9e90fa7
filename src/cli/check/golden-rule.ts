/**
 * The check: one clone, several clones in several ways, one clone again. The runs on one clone stand around the others
 * in time, so that what changes with time (a minute, a day) has changed between them too if it changed at all.
 */

import { randomBytes } from 'node:crypto'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { findDifferences, type Findings, type Run } from './findings.ts'
import { embed, prepareGround, type Ground } from './ground.ts'
import { copyDisc } from './own-disc.ts'
import { replay } from './replay.ts'
import { createRoute, singleRoute, type Route } from './routes.ts'
import { withClones, withStore, type ClonePlace } from './run-clones.ts'
import { scriptError, type Script } from './script.ts'

import type { Ignored } from './compare.ts'
import type { ResolvedConfig } from '../../app/config.ts'
import type { App } from '../../app/define-app.ts'
import type { Logger } from '../../core/log.ts'

export interface CheckOptions {
  readonly app: App
  readonly appFile: string
  /** As the app says; where and on what it runs is decided here. */
  readonly config: ResolvedConfig
  readonly script: Script
  /** At least 2. */
  readonly clones: number
  /** In how many ways requests are spread over them. */
  readonly ways: number
  /** Whether runs use the servers that the configuration names; else embedded ones. */
  readonly external: boolean
  readonly seed: boolean
  readonly writes: ResolvedConfig['clones']['writes']
  readonly timeoutMs: number
  readonly ignored: Ignored
  readonly ignoredWrites: readonly string[]
  readonly log: Logger
  readonly signal: AbortSignal
  /** Hears what is being done. */
  readonly onStep?: (what: string) => void
}

interface Checking extends CheckOptions {
  readonly ground: Ground
  readonly secrets: readonly string[]
  readonly directory: string
  /** Where the app itself keeps its data. */
  readonly appDataDir: string
}

/** More runs on one clone, when something was found that might only vary. */
const confirmingRuns = 3

/** Rejects with the signal's reason when it says so; whatever was started is stopped and deleted by then. */
export async function checkGoldenRule(options: CheckOptions): Promise<Findings> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'fourfold-check-')))
  try {
    return await withGround(options, directory, checkOn)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function withGround<T>(
  options: CheckOptions,
  directory: string,
  work: (checking: Checking) => Promise<T>,
): Promise<T> {
  const { clones, log, signal } = options
  const config = configure(options, directory)
  const secrets = config.sessions.secrets?.length ? config.sessions.secrets : [randomBytes(32).toString('base64url')]
  options.onStep?.('preparing the databases')
  const ground = await prepareGround({
    ...options,
    config: { ...config, clones: { ...config.clones, max: clones } },
    secrets,
    seed: options.seed && !options.external,
    withStore: (work) => withStore({ config, directory: join(directory, 'ground'), log }, work),
  })
  try {
    signal.throwIfAborted()
    return await work({ ...options, config, ground, secrets, directory, appDataDir: resolve(options.config.dataDir) })
  } finally {
    await ground.stop()
  }
}

function configure({ config, external, writes }: CheckOptions, directory: string): ResolvedConfig {
  const where = external ? config : embed(config)
  // What is only allowed is not announced; so it is let through and counted.
  const policy = writes === 'allow' ? 'report' : writes
  return { ...where, dataDir: directory, logLevel: 'error', clones: { ...config.clones, writes: policy } }
}

async function checkOn(checking: Checking): Promise<Findings> {
  const { clones, ways, ignored, ignoredWrites } = checking
  let number = 0
  const run = (count: number, route: Route): Promise<Run> => runOnce(checking, (number += 1), count, route)
  const first = await run(1, singleRoute())
  requireAllSent(first)
  const spread: Run[] = []
  for (let way = 0; way < ways; way += 1) spread.push(await run(clones, createRoute(way, clones)))
  const singles: [Run, ...Run[]] = [first, await run(1, singleRoute())]
  const repeated: Run[] = []
  const find = (): Findings => findDifferences({ singles, spread, repeated, ignored, ignoredWrites })
  for (let more = 0; more < confirmingRuns && find().differences.length > 0; more += 1) {
    singles.push(await run(1, singleRoute()))
  }
  for (let name = find().toRepeat; name !== null; name = find().toRepeat) {
    const way = spread.findIndex((run) => run.name === name)
    repeated.push(await run(clones, createRoute(way, clones)))
  }
  return find()
}

async function runOnce(checking: Checking, number: number, count: number, route: Route): Promise<Run> {
  const { script, timeoutMs, signal, ground, onStep } = checking
  signal.throwIfAborted()
  onStep?.(`run ${number}: ${route.name}`)
  const directory = join(checking.directory, `run-${number}`)
  const databases = await ground.lay(number)
  const settings = { ...checking, databases, directory, count, placeOf: placesOf(checking, directory) }
  const replayed = await withClones(settings, (clones) => replay({ script, clones, route, timeoutMs, signal }))
  await rm(directory, { recursive: true, force: true })
  return { name: route.name, ...replayed }
}

function placesOf(
  { appFile, appDataDir, config }: Checking,
  directory: string,
): (clone: number) => Promise<ClonePlace> {
  if (config.clones.writes === 'refuse') return async () => ({ appFile })
  return (clone) => copyDisc(appFile, join(directory, `disc-${clone}`), appDataDir)
}

/** A script that does not even run on one clone says nothing about several. */
function requireAllSent({ steps }: Run): void {
  for (const { request, unsent } of steps) if (unsent !== null) throw scriptError(request.place, unsent)
}
