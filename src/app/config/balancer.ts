/** The settings of the balancer: where it listens, whom it believes, and what each client may take. */

import { isAddressOrRange } from '../../clones/balancer/trust.ts'

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const balancerSchema = {
  kind: 'group',
  summary: 'The process that takes the public traffic.',
  fields: {
    port: { kind: 'number', min: 0, max: 65_535, default: 8080, summary: 'The public port. 0 takes any free one.' },
    host: { kind: 'text', default: '127.0.0.1', summary: 'The address to listen on. `0.0.0.0` for all.' },
    trustProxy: {
      kind: 'list',
      of: { kind: 'text', summary: 'An address or CIDR range.' },
      default: [],
      summary: 'Addresses or CIDR ranges of proxies in front whose `X-Forwarded-*` headers are believed.',
    },
    headerTimeout: {
      kind: 'duration',
      default: '10s',
      summary: "How long a client may take to send a request's headers.",
    },
    bodyTimeout: {
      kind: 'duration',
      default: '30s',
      summary: 'How long a client may pause while it sends a body.',
    },
    bodyMinBytesPerSecond: {
      kind: 'number',
      min: 0,
      default: 240,
      summary: 'A body that comes more slowly, once `bodyTimeout` was spent waiting for it, is given up.',
    },
    requestTimeout: {
      kind: 'duration',
      default: '30s',
      summary: 'How long a clone may take until it starts to answer.',
    },
    stallTimeout: {
      kind: 'duration',
      default: '60s',
      summary: 'How long a client may take nothing of an answer that waits for it.',
    },
    idleTimeout: {
      kind: 'duration',
      default: '65s',
      summary: 'How long a connection is kept open between requests.',
    },
    headerLimit: { kind: 'bytes', default: '16KiB', summary: 'The most bytes of headers; more is answered 431.' },
    bodyLimit: {
      kind: 'bytes',
      default: '8MiB',
      summary: "The most bytes of a request's body; more is answered 413.",
    },
    maxInFlight: {
      kind: 'number',
      min: 1,
      default: 256,
      summary: 'The most requests that one clone works on at a time; others wait.',
    },
    queueTimeout: {
      kind: 'duration',
      default: '5s',
      summary: 'How long a request waits when every clone is at its limit; then 503.',
    },
    queueLimit: {
      kind: 'number',
      min: 0,
      default: 1000,
      summary: 'The most requests that wait; more are answered 503 at once.',
    },
    maxConnections: {
      kind: 'number',
      min: 1,
      default: 10_000,
      summary: 'The most connections of clients. At the limit idle ones make room, or the new one is closed.',
    },
    maxConnectionsPerAddress: {
      kind: 'number',
      min: 1,
      default: 1000,
      summary: 'The same for one address (IPv6: one /64) that is not in `trustProxy`.',
    },
    slowStart: {
      kind: 'duration',
      default: '10s',
      summary: 'How long a clone that joins others, or comes back after failures, is given less than its share.',
    },
    exposeClone: {
      kind: 'choice',
      options: [true, false],
      default: true,
      summary: 'Whether answers name the clone and the build they came from.',
    },
    tls: {
      kind: 'group',
      summary: 'Speak TLS. Files that change are read again, without a restart.',
      fields: {
        cert: { kind: 'text', summary: 'Path of the certificate and what signed it, in PEM.' },
        key: { kind: 'text', summary: 'Path of its private key, in PEM.' },
      },
    },
  },
} as const

type ResolvedBalancer = OutputOf<typeof balancerSchema>

/** What no field can see by itself. */
export function checkBalancer(balancer: Incomplete<ResolvedBalancer>): readonly ConfigProblem[] {
  const { trustProxy = [], tls = {} } = balancer
  const problems = [...checkProxies(trustProxy)]
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    problems.push({ path: 'balancer.tls', message: 'expected both cert and key, or neither' })
  }
  return problems
}

function checkProxies(entries: readonly (string | undefined)[]): readonly ConfigProblem[] {
  return entries.flatMap((entry, index) => {
    if (entry === undefined || isAddressOrRange(entry)) return []
    const message = `expected an IP address or a range such as "10.0.0.0/8", got ${JSON.stringify(entry)}`
    return [{ path: `balancer.trustProxy[${index}]`, message }]
  })
}
