/**
 * The embedded store's budgets for rates. A part of the state machine in `state.ts`, whose invariants hold here too.
 *
 * All that a budget needs is the moment at which it is full again (the virtual scheduling form of GCRA, ITU-T I.371):
 * what is spent is the time until then, and a full one does not exist.
 */

import type { Effect } from './effects.ts'
import type { Keeper } from './registry.ts'

interface HeldBudget {
  /** When it is full again. */
  expiresAt: number
}

export class Budgets {
  readonly table: Map<string, HeldBudget> = new Map()
  private readonly keeper: Pick<Keeper, 'now' | 'emit'>

  constructor(keeper: Pick<Keeper, 'now' | 'emit'>) {
    this.keeper = keeper
  }

  /** Whether it was granted, and what is left. */
  spend(key: string, costMs: number, capacityMs: number): readonly [boolean, number] {
    const now = this.keeper.now()
    const spent = Math.max(0, (this.table.get(key)?.expiresAt ?? 0) - now)
    if (spent + costMs > capacityMs) return [false, Math.max(0, capacityMs - spent)]
    if (costMs > 0) {
      const expiresAt = now + spent + costMs
      this.replay(key, expiresAt)
      this.keeper.emit(spentEffect(key, { expiresAt }))
    }
    return [true, capacityMs - spent - costMs]
  }

  replay(key: string, expiresAt: number): void {
    this.table.set(key, { expiresAt })
  }
}

export function spentEffect(key: string, { expiresAt }: HeldBudget): Effect {
  return ['spent', key, expiresAt]
}
