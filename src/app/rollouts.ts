/**
 * Rollouts of the system that runs here: makes builds of the app's files, does one thing at a time, and writes down
 * which build serves. What happens in a rollout stands in `clones/rollout`.
 */

import { checkClone } from './check-clone.ts'
import { configSchemaText } from './config.ts'
import { cloneGroup, withSecrets, type CloneGroupOptions } from './groups.ts'
import { runRelease } from './run-release.ts'
import { workerGroup, workerKind } from './workers.ts'
import { shortBuildId } from '../clones/build/build-id.ts'
import { makeBuild, pruneBuilds, type Build } from '../clones/build/snapshot.ts'
import { rollOut, type RolloutParts } from '../clones/rollout/rollout.ts'
import { FourfoldError } from '../core/errors.ts'

import type { ControlHandler } from './control-server.ts'
import type { ReleaseFacts, ReleaseSettings } from './processes/release.ts'
import type { Admission } from '../clones/protocol.ts'
import type { Ledger } from '../clones/rollout/ledger.ts'
import type { Routes } from '../clones/routing.ts'
import type { Member } from '../clones/slot.ts'
import type { GroupOptions, Supervisor } from '../clones/supervisor.ts'
import type { Logger } from '../core/log.ts'

export interface RolloutRequest {
  readonly appFile: string
  /** The shares of readers, 0 to 1, in the order in which they are moved; the last is 1. */
  readonly shares: readonly number[]
  readonly holdMs: number
  readonly maxErrorRate: number
}

export interface RolloutsOptions extends CloneGroupOptions {
  readonly supervisor: Supervisor
  readonly routes: Routes
  readonly ledger: Ledger
  readonly build: Build
  /** How many workers run. */
  readonly workers: number
  readonly takenBack: string | null
  readonly log: Logger
}

/** Which build is where. Plain data, for people and programs. */
export interface BuildStatus {
  readonly admission: Admission | null
  readonly rolloutUnderWay: boolean
  /** The build that was taken back last. */
  readonly takenBack: string | null
  readonly clones: readonly (Pick<Member, 'id' | 'state' | 'buildId'> & { readonly pid: number })[]
  /** Clones that are there and get no requests, because they are of no admitted build. */
  readonly quarantined: readonly Pick<Member, 'id' | 'buildId'>[]
  readonly quarantinedSinceStart: number
}

type Say = (text: string) => void

/** With fewer requests a share of errors says nothing. */
const leastRequests = 20

export class Rollouts {
  readonly #options: RolloutsOptions
  #build: Build
  #takenBack: string | null
  #workers: number
  #underWay: { readonly build: string | null; readonly stop: AbortController; ended: Promise<unknown> } | null = null
  #closed = false

  constructor(options: RolloutsOptions) {
    this.#options = options
    this.#build = options.build
    this.#workers = options.workers
    this.#takenBack = options.takenBack
    this.#record(options.routes.admission, false)
  }

  /** Resolves when the new build alone serves. @throws FF_ROLLOUT_REFUSED, FF_ROLLOUT_FAILED, FF_BUILD_FILES */
  rollOut(request: RolloutRequest, say: Say): Promise<{ build: string }> {
    return this.#alone(async (signal) => {
      const { config } = this.#options
      const build = await makeBuild({ appFile: request.appFile, dataDir: config.dataDir, schema: configSchemaText })
      if (build.id === this.#build.id) {
        await this.#release(build, 'contract', say, signal)
        say(`build ${shortBuildId(build.id)} is in service already`)
        return { build: build.id }
      }
      await this.#rollOut(build, request, say, signal)
      return { build: build.id }
    })
  }

  /** Calls the rollout that is under way off. @throws FF_ROLLOUT_REFUSED */
  async callOff(): Promise<void> {
    if (this.#underWay === null) throw new FourfoldError('FF_ROLLOUT_REFUSED', 'no rollout is under way')
    this.#underWay.stop.abort(new FourfoldError('FF_ROLLOUT_FAILED', 'the rollout was called off'))
    const wentOn = await this.#underWay.ended.then(
      () => true,
      () => false,
    )
    if (wentOn) throw new FourfoldError('FF_ROLLOUT_REFUSED', 'it was too late to call the rollout off: it is done')
  }

  /** Changes how many clones there are, of the new build too while one is rolled out. @throws FF_ROLLOUT_REFUSED */
  async scale(count: number): Promise<void> {
    const { max } = this.#options.config.clones
    if (!Number.isInteger(count) || count < 1 || count > max) {
      const message = `expected 1 to ${max} clones (clones.max), got ${String(count)}`
      throw new FourfoldError('FF_ROLLOUT_REFUSED', message)
    }
    await this.#options.supervisor.setCount('clone', count)
  }

  describe(): BuildStatus {
    const { routes, supervisor } = this.#options
    const members = supervisor.members('clone')
    return {
      admission: routes.admission ?? null,
      rolloutUnderWay: this.#underWay !== null,
      takenBack: this.#takenBack,
      clones: members.map(({ id, state, buildId, process }) => ({ id, state, buildId, pid: process.pid })),
      quarantined: routes.quarantined().map(({ id, buildId }) => ({ id, buildId })),
      quarantinedSinceStart: supervisor.quarantined(),
    }
  }

  /** The system stops: a rollout under way is called off, and the next start may take the files as they are. */
  async close(): Promise<void> {
    this.#closed = true
    await this.callOff().catch(() => undefined)
    this.#record(this.#options.routes.admission, true)
  }

  async #alone<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed) throw new FourfoldError('FF_ROLLOUT_REFUSED', 'the system is stopping')
    if (this.#underWay !== null) {
      const message = 'another rollout is under way: wait for it, or call it off with `fourfold rollout --abort`'
      throw new FourfoldError('FF_ROLLOUT_REFUSED', message)
    }
    const stop = new AbortController()
    const ended = work(stop.signal)
    this.#underWay = { build: null, stop, ended }
    try {
      return await ended
    } finally {
      this.#underWay = null
    }
  }

  async #rollOut(build: Build, request: RolloutRequest, say: Say, signal: AbortSignal): Promise<void> {
    const { supervisor, routes, config, log } = this.#options
    let facts: ReleaseFacts | null = null
    const tell: Say = (text) => {
      log.info({ build: build.id }, `rollout: ${text}`)
      say(text)
    }
    const parts: RolloutParts = {
      supervisor,
      routes,
      record: (admission, takenBack) => {
        const given = admission.current.id === build.id
        this.#takenBack = takenBack ?? (given ? null : this.#takenBack)
        this.#record(admission, false)
        if (given) this.#build = build
      },
      expand: async () => {
        facts = await this.#release(build, 'expand', tell, signal)
        // As many of each build, for as long as there are two.
        await this.#setWorkers(Math.max(this.#workers, facts.workers))
      },
      contract: async () => {
        if (facts?.contractWaits === true) await this.#contract(build, tell)
      },
      check: (member) => checkClone(member, facts?.rollout ?? config.rollout, signal),
      say: tell,
    }
    const { shares, holdMs, maxErrorRate } = request
    // The new build's own settings are known once it was looked at.
    const clones = (): CloneGroupOptions => ({ ...this.#options, config: this.#withFacts(facts), build })
    const group = lateGroup('clone', () => cloneGroup(clones()), build.id)
    const beside = [lateGroup(workerKind, () => workerGroup(clones(), 0), build.id)]
    await rollOut(parts, { group, beside, shares, holdMs, tolerance: { maxErrorRate, leastRequests } }, signal)
    await this.#setWorkers((facts as ReleaseFacts | null)?.workers ?? this.#workers)
    await pruneBuilds(config.dataDir, config.rollout.keep, [build.id]).catch((error: unknown) =>
      log.warn({ error }, 'builds that are not needed could not be deleted'),
    )
    tell(`build ${shortBuildId(build.id)} is in service`)
  }

  async #setWorkers(count: number): Promise<void> {
    await this.#options.supervisor.setCount(workerKind, count)
    this.#workers = count
  }

  #withFacts(facts: ReleaseFacts | null): RolloutsOptions['config'] {
    const { config } = this.#options
    return facts === null ? config : { ...config, clones: { ...config.clones, ...facts.clones } }
  }

  /** The readers are on the new build by now: what fails here is said, and tried again by the next rollout or start. */
  async #contract(build: Build, say: Say): Promise<void> {
    try {
      await this.#release(build, 'contract', say, new AbortController().signal)
    } catch (error) {
      say(`the contract phase failed and will be tried again by the next rollout or start: ${String(error)}`)
    }
  }

  #release(build: Build, phase: ReleaseSettings['phase'], say: Say, signal: AbortSignal): Promise<ReleaseFacts> {
    const { overrides, secrets, connections, config } = this.#options
    const settings = { build, phase, overrides: withSecrets(overrides, secrets), connections, running: config }
    return runRelease(settings, say, signal)
  }

  #record(admission: Admission | undefined, stopped: boolean): void {
    if (admission === undefined) return
    this.#options.ledger.write({ admission, stopped, takenBack: this.#takenBack })
  }
}

/** A group whose processes are described when the first of them starts. */
function lateGroup(kind: string, make: () => GroupOptions, buildId: string) {
  let made: GroupOptions | undefined
  return { kind, buildId, spec: (index: number) => (made ??= make()).spec(index) }
}

/** What commands may ask. */
export function controlHandlers(rollouts: Rollouts): Readonly<Record<string, ControlHandler>> {
  return {
    rollout: (input, say) => rollouts.rollOut(input as RolloutRequest, say),
    abort: () => rollouts.callOff(),
    scale: (input) => rollouts.scale((input as { clones: number }).clones),
    status: () => rollouts.describe(),
  }
}
