/**
 * A balancer's side of the admission record (see decision 026): what it follows, and what it does about a record that
 * is missing, older than what it knows, or left halted by somebody who died.
 */

import {
  isLater,
  writeAdmission,
  type AdmissionMemory,
  type AdmissionRecord,
  type VersionedAdmission,
} from './admission-record.ts'
import { shortBuildId } from '../build/build-id.ts'
import type { Admission } from '../protocol.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'

export interface AdmissionFollowerOptions {
  readonly store: Pick<Store, 'read' | 'create' | 'update'>
  readonly memory: AdmissionMemory
  readonly log: Logger
  readonly now?: () => number
  /** Default: 2,000. */
  readonly bootstrapMs?: number
  /** Default: 5,000. */
  readonly haltMs?: number
}

/** Nobody is sent anywhere: requests wait until it is known which build may answer. */
const unknown: Admission = { current: { id: '', ordinal: 0 }, share: 0, halt: true }

export class AdmissionFollower {
  readonly #options: AdmissionFollowerOptions
  readonly #now: () => number
  #known: VersionedAdmission | null
  #knownSince = 0
  /** Since when the store, asked again and again, has had no record. */
  #missingSince: number | null = null
  #undecided = ''

  constructor(options: AdmissionFollowerOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#known = options.memory.read()
    this.#knownSince = this.#now()
  }

  get version(): number {
    return this.#known?.version ?? 0
  }

  get admission(): Admission {
    return this.#known?.admission ?? unknown
  }

  /** The store was away: how long the record has been missing is not known. */
  lost(): void {
    this.#missingSince = null
  }

  /** The store has answered with its record. `builds`: those of the clones that are there. */
  async see(record: AdmissionRecord | null, builds: ReadonlySet<string>): Promise<void> {
    this.#missingSince = record === null ? (this.#missingSince ?? this.#now()) : null
    if (record !== null && isLater(record, this.#known)) return this.#adopt(record)
    if (this.#known === null) return this.#bootstrap(builds)
    if (record === null || isLater(this.#known, record)) {
      await writeAdmission(this.#options.store, record, this.#known)
    } else await this.#endHalt(record)
  }

  #adopt({ version, admission }: VersionedAdmission): void {
    const known = { version, admission }
    this.#remember(known)
    this.#known = known
    this.#knownSince = this.#now()
    const { current, next, share, halt } = admission
    this.#options.log.info(
      { version, build: current.id, next: next?.id, share, halt },
      `build ${shortBuildId(current.id)} is admitted`,
    )
  }

  /** Before anything is done by it: after a crash this balancer must not follow an older one. */
  #remember(known: VersionedAdmission): void {
    const { memory, log } = this.#options
    try {
      memory.write(known)
    } catch (error) {
      // The store has it as well: the readers must not wait for a disc that is full.
      log.error({ error }, 'which build is admitted could not be written down on this host')
    }
  }

  /** The very first record: of the one build that there is. Others may know of an older record and come first. */
  async #bootstrap(builds: ReadonlySet<string>): Promise<void> {
    const { store, log, bootstrapMs = 2000 } = this.#options
    if (this.#missingSince === null || this.#now() - this.#missingSince < bootstrapMs) return
    const [id] = builds
    if (builds.size > 1) return this.#sayUndecided([...builds].map(shortBuildId).join(', '), log)
    if (id === undefined) return
    // Greater than any ordinal that a reader was shown before a store and all its balancers forgot.
    const ordinal = Math.floor(Date.now() / 1000)
    await writeAdmission(store, null, { version: 1, admission: { current: { id, ordinal }, share: 0 } })
  }

  #sayUndecided(builds: string, log: Logger): void {
    if (this.#undecided === builds) return
    this.#undecided = builds
    log.warn({ builds }, `no build is admitted, and there are clones of several: fourfold rollout --admit <build>`)
  }

  /** Whoever halts the requests admits a build within moments, unless it died. */
  async #endHalt(record: AdmissionRecord): Promise<void> {
    const { store, log, haltMs = 5000 } = this.#options
    const { halt, ...admission } = record.admission
    if (halt !== true || this.#now() - this.#knownSince < haltMs) return
    const ended = await writeAdmission(store, record, { version: record.version + 1, admission })
    if (ended !== null)
      log.warn({ version: record.version }, 'a change of the admission was not brought to its end: taken back')
  }
}
