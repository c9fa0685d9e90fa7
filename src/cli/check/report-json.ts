/** What was found, for programs. Stable: members are added, not changed. */

import { nameOf, type Extent } from './report.ts'

import type { Findings } from './findings.ts'
import type { ScriptRequest } from './script.ts'

export function toJson(
  { replayed, differences, accesses, noise, notes }: Findings,
  extent: Extent & { readonly tookMs: number },
): string {
  const { requests, clones, ways, tookMs } = extent
  const report = {
    ok: differences.length + accesses.length === 0,
    requests,
    clones,
    ways,
    took_ms: tookMs,
    differences: differences.map((finding) => ({
      ...requestOf(finding.request),
      place: finding.place,
      kind: finding.kind,
      expected: finding.expected ?? null,
      got: finding.got ?? null,
      clone: finding.clone,
      clones_before: finding.clonesBefore,
      runs: finding.runs,
      likely: finding.cause,
    })),
    accesses: accesses.map((access) => ({
      permission: access.permission,
      resources: access.resources,
      by: access.by,
      refused: extent.refused,
      requests: access.requests.map((request) => (request === null ? null : requestOf(request))),
    })),
    replayed: replayed.map(({ request, status }) => ({ ...requestOf(request), status })),
    not_compared: noise.map(({ request, places }) => ({ ...requestOf(request), places })),
    notes,
  }
  return JSON.stringify(report, null, 2)
}

const requestOf = (request: ScriptRequest): { at: string; request: string } => ({
  at: request.place,
  request: nameOf(request),
})
