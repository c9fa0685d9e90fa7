/**
 * Changes which build may answer on all hosts, so that at no moment two balancers act on two admissions: every balancer
 * first stops beginning requests (they wait) and says so; only then the new admission is written. What is in between
 * lasts for as long as the slowest balancer takes to ask the store twice.
 *
 * A balancer that cannot be asked may still be serving the old build: then nothing is changed. Whoever dies in between
 * leaves a halt that the balancers end by themselves, by the same compare and set, so one of the two comes first.
 */

import { setTimeout as delay } from 'node:timers/promises'

import { readAdmission, writeAdmission, type AdmissionRecord } from './admission-record.ts'
import { balancerGroup, decodeBalancer, memberGroup } from './entries.ts'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import type { Admission } from '../protocol.ts'
import type { Store } from '../../store/store.ts'

export type HostsStore = Pick<Store, 'read' | 'create' | 'update' | 'readRegistry'>

export interface MoveOptions {
  /** How long the balancers may take to stop beginning requests. Less than clients wait, and than a halt lasts. Default: 3,000. */
  readonly haltWithinMs?: number
}

const askMs = 25
const attempts = 40

/**
 * Resolves with the admission that is followed from now on.
 *
 * @param change what is to follow; asked again if somebody else has changed the admission first
 * @throws FF_ROLLOUT_REFUSED, FF_ROLLOUT_FAILED, and then the admission is as it was
 */
export async function moveAdmission(
  store: HostsStore,
  change: (from: Admission) => Admission,
  { haltWithinMs = 3000 }: MoveOptions = {},
): Promise<Admission> {
  const { before, halted } = await halt(store)
  const missing = await missingAfter(store, halted.version, haltWithinMs)
  if (missing.length > 0) {
    await settle(store, halted, before)
    throw new FourfoldError('FF_ROLLOUT_FAILED', silent(missing), { fields: { balancers: missing } })
  }
  const admission = change(before)
  if (await settle(store, halted, admission)) return admission
  const message = 'the store took so long that the balancers went on with the admission before'
  throw new FourfoldError('FF_ROLLOUT_FAILED', message)
}

/** Writes the admission that follows a halt. False: the balancers have ended it. */
async function settle(store: HostsStore, halted: AdmissionRecord, admission: Admission): Promise<boolean> {
  const next = { version: halted.version + 1, admission }
  for (let attempt = 1; ; attempt += 1) {
    try {
      if ((await writeAdmission(store, halted, next)) !== null) return true
      // What an earlier attempt did that was not answered in time.
      const record = await readAdmission(store)
      return record?.version === next.version && JSON.stringify(record.admission) === JSON.stringify(admission)
    } catch (error) {
      if (!isFourfoldError(error) || attempt === attempts) throw error
      await delay(askMs)
    }
  }
}

async function halt(store: HostsStore): Promise<{ before: Admission; halted: AdmissionRecord }> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const record = await readAdmission(store)
    if (record === null) {
      throw new FourfoldError(
        'FF_ROLLOUT_REFUSED',
        'no build is admitted yet: start a balancer, and clones of one build',
      )
    }
    if (record.admission.halt !== true) {
      const { version, admission } = record
      const halted = await writeAdmission(store, record, {
        version: version + 1,
        admission: { ...admission, halt: true },
      })
      if (halted !== null) return { before: admission, halted }
    }
    await delay(200)
  }
  throw new FourfoldError('FF_ROLLOUT_REFUSED', 'somebody else is changing which build is admitted')
}

/** The balancers that have not stopped in time: of those that live, and of those that were not seen to end. */
async function missingAfter(store: HostsStore, version: number, withinMs: number): Promise<string[]> {
  const until = performance.now() + withinMs
  for (;;) {
    const missing = await waitingFor(store, version).catch(() => null)
    if (missing?.length === 0) return []
    if (performance.now() >= until) return missing ?? ['all of them: the store does not answer']
    await delay(askMs)
  }
}

async function waitingFor(store: HostsStore, version: number): Promise<string[]> {
  const [living, members] = await Promise.all([store.readRegistry(balancerGroup), store.readRegistry(memberGroup)])
  const stopped = new Map(
    living?.entries.map(({ id, value }) => [id, (decodeBalancer(value)?.admission ?? 0) >= version] as const),
  )
  const ids = new Set([...stopped.keys(), ...(members?.entries ?? []).map(({ id }) => id)])
  return [...ids].filter((id) => stopped.get(id) !== true)
}

function silent(missing: readonly string[]): string {
  return `${missing.join(', ')} did not answer, and may still be serving the build before: nothing was changed. Bring it back, or switch it off and name it with --without`
}
