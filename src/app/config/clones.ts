/** The settings of clones: how many run, what they may do, and where those of other hosts listen. */

import { readPorts } from '../../clones/hosts/listen.ts'

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const clonesSchema = {
  kind: 'group',
  numberSets: ['min', 'max'],
  summary: 'The app-server processes. A bare number sets `min` and `max`.',
  fields: {
    min: { kind: 'number', min: 1, max: 256, default: 2, summary: 'How many clones are started.' },
    max: {
      kind: 'number',
      min: 1,
      max: 256,
      summary: 'The most clones that may ever run; connection pools are sized for them. Default: `min`.',
    },
    writes: {
      kind: 'choice',
      options: ['refuse', 'report', 'allow'],
      default: 'refuse',
      summary:
        'What happens when a clone writes to the local disc: `refuse` with an error that names the file, `report` in the log, or `allow`.',
    },
    grace: {
      kind: 'duration',
      default: '10s',
      zero: true,
      summary: 'How long a clone may finish its requests after it was told to drain.',
    },
    host: {
      kind: 'text',
      default: '127.0.0.1',
      summary:
        'With `--role clones`: the address that clones listen on for balancers of other hosts. A private one: what comes there is not encrypted.',
    },
    advertise: {
      kind: 'text',
      summary: 'With `--role clones`: the address or name under which balancers reach this host. Default: `host`.',
    },
    ports: {
      kind: 'text',
      summary:
        'With `--role clones`: the ports that clones may listen on, such as `20000-20099`. During a restart there are two clones where there was one. Default: any free port.',
    },
  },
} as const

/** What no field can see by itself. */
export function checkCount({ min, max }: Incomplete<OutputOf<typeof clonesSchema>>): readonly ConfigProblem[] {
  if (min === undefined || max === undefined || max >= min) return []
  return [{ path: 'clones.max', message: `expected at least clones.min (${min}), got ${max}` }]
}

export function checkPorts(ports: string | undefined): readonly ConfigProblem[] {
  if (ports === undefined || readPorts(ports) !== null) return []
  const message = `expected two ports from 1 to 65535, the smaller first, such as "20000-20099"; got ${JSON.stringify(ports)}`
  return [{ path: 'clones.ports', message }]
}
