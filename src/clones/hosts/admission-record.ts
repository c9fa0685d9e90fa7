/**
 * Which builds may answer, on all hosts: one record in the store, changed as a whole by compare and set, with a version
 * that only rises. Every balancer follows it, never to a smaller version, and writes down what it follows before it acts
 * on it; a store that lost the record gets it back from any of them.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

import type { Admission } from '../protocol.ts'
import type { Store } from '../../store/store.ts'

export interface VersionedAdmission {
  readonly version: number
  readonly admission: Admission
}

export interface AdmissionRecord extends VersionedAdmission {
  /** As it stands in the store: what a change must find there. */
  readonly bytes: Uint8Array
}

type AdmissionStore = Pick<Store, 'read' | 'create' | 'update'>

const key = 'hosts/admission'
const field = 'admission'
/** Balancers write it again long before. */
const ttlMs = 365 * 24 * 3_600_000

/** Null where there is none, or none of this version of Fourfold. */
export async function readAdmission(store: AdmissionStore): Promise<AdmissionRecord | null> {
  const bytes = (await store.read(key))?.[field]
  if (bytes === undefined) return null
  const known = parse(Buffer.from(bytes).toString('utf8'))
  return known === null ? null : { ...known, bytes }
}

/** Puts `next` in the place of exactly `seen`, or where there is nothing. Null: there was something else. */
export async function writeAdmission(
  store: AdmissionStore,
  seen: AdmissionRecord | null,
  next: VersionedAdmission,
): Promise<AdmissionRecord | null> {
  const { version, admission } = next
  const bytes = Buffer.from(JSON.stringify({ version, admission }))
  const change = { expect: { [field]: seen?.bytes ?? null }, set: { [field]: bytes }, ttlMs }
  const written =
    seen === null
      ? await store.create(key, { [field]: bytes }, { ttlMs })
      : (await store.update(key, change)) === 'updated'
  return written ? { version, admission, bytes } : null
}

/**
 * Whether `one` is to be followed by who follows `other`. Two of one version exist only where a store lost what it had
 * acknowledged; then the greater ordinals win, on every balancer alike.
 */
export function isLater(one: VersionedAdmission, other: VersionedAdmission | null): boolean {
  if (other === null) return true
  const [a, b] = [rankOf(one), rankOf(other)]
  const at = a.findIndex((part, index) => part !== b[index])
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0)
}

function rankOf({ version, admission: { current, next, share } }: VersionedAdmission): number[] {
  return [version, current.ordinal, next?.ordinal ?? 0, share]
}

/** What a balancer followed, in a file of its host. */
export interface AdmissionMemory {
  read(): VersionedAdmission | null
  write(known: VersionedAdmission): void
}

export function openAdmissionMemory(path: string): AdmissionMemory {
  return {
    read: () => {
      try {
        return parse(readFileSync(path, 'utf8'))
      } catch {
        return null
      }
    },
    write: (known) => {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(`${path}.new`, JSON.stringify(known), { flush: true })
      renameSync(`${path}.new`, path)
    },
  }
}

function parse(text: string): VersionedAdmission | null {
  try {
    const { version, admission } = JSON.parse(text) as VersionedAdmission
    return Number.isInteger(version) && typeof admission.current.ordinal === 'number' ? { version, admission } : null
  } catch {
    return null
  }
}
