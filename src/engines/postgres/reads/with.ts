/** WITH: which names it brings into sight, and for whom. */

import { refuse } from './refusal.ts'
import { bodyOf, listOf, namesOf, open, type Tree } from './tree.ts'

import type { Analysis, Cte, CteFrame, Place } from './analysis.ts'
import type { Scope } from './scope.ts'

export interface BoundWith {
  /** What the query below sees. */
  readonly frame: CteFrame | null
  /** Records what is read by those that nothing has used: the server does not run them, but nothing is lost by it. */
  pushUnused(): void
}

export function bindWith(
  clause: Tree | undefined,
  analysis: Analysis,
  scope: Scope | null,
  outer: CteFrame | null,
  place: Place | null,
): BoundWith {
  if (clause === undefined) return { frame: outer, pushUnused: () => undefined }
  const ctes = listOf(clause.ctes).map((node) => bodyOf(node, 'CommonTableExpr') ?? refuse('a WITH that is not known'))
  const entries: Cte[] = []
  let frame = outer
  if (clause.recursive === true) {
    const names = new Map<string, Cte>()
    frame = { entries: names, outer }
    for (const body of ctes) {
      const cte = entryOf(body, scope, frame, place)
      names.set(String(body.ctename), cte)
      entries.push(cte)
    }
  } else {
    for (const body of ctes) {
      const cte = entryOf(body, scope, frame, place)
      frame = { entries: new Map([[String(body.ctename), cte]]), outer: frame }
      entries.push(cte)
    }
  }
  return {
    frame,
    pushUnused() {
      for (const cte of entries) {
        if (!cte.used) analysis.bind(cte.body, cte.scope, cte.frame, cte.place).push([])
      }
    },
  }
}

function entryOf(body: Tree, scope: Scope | null, frame: CteFrame | null, place: Place | null): Cte {
  const [kind, query] = open(body.ctequery)
  if (kind !== 'SelectStmt') return refuse(`${kind} inside the statement is not a query`)
  return {
    body: query,
    columnNames: namesOf(body.aliascolnames) ?? [],
    frame,
    scope,
    place,
    // SEARCH and CYCLE add columns.
    open: body.search_clause !== undefined || body.cycle_clause !== undefined,
    used: false,
    busy: false,
    recursive: false,
  }
}
