/** What the tracker watches, as its messages tell it. */

import { createHash } from 'node:crypto'

import type { Lsn } from '../../engines/position.ts'
import type { Coverage, TableCoverage } from '../changes/message.ts'
import type { TemplateId } from '../changes/hash.ts'

export class CoverageState {
  #tables: ReadonlyMap<number, TableCoverage> = new Map()
  #templates: ReadonlyMap<TemplateId, Lsn> = new Map()
  #suspended = false
  #known: { readonly id: string; readonly coverage: Coverage } | null = null

  setTables(tables: ReadonlyMap<number, TableCoverage>): void {
    this.#tables = tables
    this.#known = null
  }

  setTemplates(templates: ReadonlyMap<TemplateId, Lsn>): void {
    this.#templates = new Map(templates)
    this.#known = null
  }

  /** While nobody knows what is in the publication, nothing counts as watched. */
  suspend(suspended: boolean): void {
    this.#suspended = suspended
    this.#known = null
  }

  get isSuspended(): boolean {
    return this.#suspended
  }

  current(): { readonly id: string; readonly coverage: Coverage } {
    return (this.#known ??= this.#compute())
  }

  #compute(): { readonly id: string; readonly coverage: Coverage } {
    const tables = this.#suspended ? new Map<number, TableCoverage>() : this.#tables
    // A template is of use only with its table.
    const templates = new Map([...this.#templates].filter(([id]) => tables.has(Number(id.split('\u0000', 1)[0]))))
    const text = JSON.stringify([[...tables].toSorted(byFirst), [...templates].toSorted(byFirst)])
    const id = createHash('sha256').update(text).digest('base64url').slice(0, 12)
    return { id, coverage: { tables, templates } }
  }
}

function byFirst([a]: readonly [number | string, unknown], [b]: readonly [number | string, unknown]): number {
  return a < b ? -1 : 1
}
