/** What a run must reach for its zero violations to prove anything. */

import type { Findings } from '../sessions-checker.ts'

/** The floors of FRESHNESS, Proof: below them a run without violations proves nothing. */
export function missedFloors(findings: Findings): readonly string[] {
  const { calmSessionReads, calmSessionReplicaReads, reads, writes, faults } = findings
  const answered = writes + Object.values(reads).reduce((sum, count) => sum + count, 0)
  const share = calmSessionReads === 0 ? 0 : calmSessionReplicaReads / calmSessionReads
  const missed: string[] = []
  if (share < 0.6)
    missed.push(
      `replicas answered ${Math.round(share * 100)} % of the session reads without faults: at least 60 % expected`,
    )
  if (calmSessionReads < 300) missed.push(`${calmSessionReads} session reads without faults: at least 300 expected`)
  if (writes < answered * 0.05)
    missed.push(`${writes} writes in ${answered} answered operations: at least 5 % expected`)
  for (const [level, count] of Object.entries(reads))
    if (count < 300) missed.push(`${count} reads at ${level}: at least 300 expected`)
  for (const part of ['replica', 'clone', 'store', 'supervisor', 'backend']) {
    if (!Object.keys(faults).some((fault) => fault.includes(part))) missed.push(`no fault of a ${part}`)
  }
  return [...missed, ...unused(findings)]
}

/** What the run was meant to use and did not. */
function unused({ readsByServer, readsByClone, reads }: Findings): readonly string[] {
  const all = Object.values(reads).reduce((sum, some) => sum + some, 0)
  const shared = Object.entries(readsByServer).filter(([server]) => server.includes('endpoint'))
  const missed: string[] = []
  if (shared.length < 2 || shared.some(([, some]) => some < 20)) {
    missed.push(`reads through the endpoint: ${JSON.stringify(shared)}: at least 20 on each of two replicas expected`)
  }
  const busy = Object.values(readsByClone).filter((some) => some >= all * 0.1)
  if (busy.length < 2) missed.push(`${JSON.stringify(readsByClone)}: at least 10 % on each of two clones expected`)
  return missed
}
