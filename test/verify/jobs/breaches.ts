/** Breaches that are planted into the sources of the system, each of which the harness must catch. */

import type { Plant } from '../../support/plant.ts'

export interface JobBreach {
  readonly name: string
  readonly plants: readonly Plant[]
  /** Of whoever orders, who is no process of the system. */
  readonly beside?: boolean
  /** The faults that bring it out. */
  readonly faults: RegExp
}

export const jobBreaches: readonly JobBreach[] = [
  {
    name: 'completions are not held against who has the job',
    faults: /until another one runs/,
    plants: [
      {
        file: 'src/jobs/postgres/claims.ts',
        find: "(j.token, j.worker, j.state) is not distinct from (g.token, $1, 'running') returning j.*, g.output, g.last)",
        put: '$1::bigint is not null and g.token > 0 returning j.*, g.output, g.last)',
      },
    ],
  },
  {
    name: 'whoever tells of the end does not move the reader’s token',
    faults: /none/,
    plants: [
      {
        file: 'src/app/jobs.ts',
        find: '      if (reader === null) return\n',
        put: '      if (reader !== "") return\n',
      },
    ],
  },
  {
    name: 'orders are given beside their transaction',
    faults: /none/,
    plants: [],
    beside: true,
  },
]
