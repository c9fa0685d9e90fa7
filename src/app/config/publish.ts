/** The settings of publishing: where baked pages are put besides, and which caches in front are told of them. */

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const publishSchema = {
  kind: 'group',
  summary: 'Where workers put baked pages besides, and which caches at an edge they purge.',
  fields: {
    directory: {
      kind: 'text',
      summary:
        'A folder for nginx or another static host; it belongs to Fourfold, and only workers write there. With workers on several hosts it has to be a shared one.',
    },
    s3: {
      kind: 'group',
      summary: 'A bucket of Amazon S3, or of what speaks its protocol. Needs the package `@aws-sdk/client-s3`.',
      fields: {
        bucket: { kind: 'text', summary: "The bucket's name. Without it nothing is put there." },
        region: {
          kind: 'text',
          summary: 'Its region. Default: what the AWS SDK finds, and `us-east-1` beside `endpoint`.',
        },
        endpoint: { kind: 'text', url: true, summary: "The address of a server that is not Amazon's." },
        prefix: { kind: 'text', summary: 'Put before every key: `site/`.' },
        encoding: {
          kind: 'choice',
          options: ['identity', 'gzip', 'br'],
          default: 'identity',
          summary: 'How pages are stored. Compressed ones need a CDN in front that decodes them for those who cannot.',
        },
        accessKeyId: {
          kind: 'text',
          summary: 'The key. Default: what the AWS SDK finds, such as the role of the machine.',
        },
        secretAccessKey: { kind: 'text', secret: true, summary: 'Its secret.' },
      },
    },
    edge: {
      kind: 'group',
      summary: 'Caches in front that drop a page when it is baked to something else.',
      fields: {
        kind: {
          kind: 'choice',
          options: ['varnish', 'fastly', 'cloudflare', 'http'],
          summary: 'What they are. Without it pages carry no keys and nothing is purged.',
        },
        urls: {
          kind: 'list',
          of: { kind: 'text', url: true, summary: 'An address.' },
          default: [],
          summary: 'Where purges go: each server of Varnish, or the address of the service.',
        },
        token: { kind: 'text', secret: true, summary: 'What the edge wants to see before it purges.' },
        headers: {
          kind: 'list',
          of: { kind: 'text', summary: 'A header.' },
          default: [],
          summary: 'The headers of pages that carry their keys. Default: what this kind of edge looks for.',
        },
        method: { kind: 'text', default: 'PURGE', summary: 'The method of purges, for `http`.' },
        keyHeader: { kind: 'text', summary: 'The header of purges that names keys, for `varnish` and `http`.' },
        soft: {
          kind: 'choice',
          options: [true, false],
          default: false,
          summary: 'For Fastly: what is purged may be served once more while it is fetched anew.',
        },
        every: { kind: 'duration', default: '50ms', summary: 'How long keys are gathered.' },
        keysAtOnce: { kind: 'number', min: 1, summary: 'The most keys in a request. Default: what this kind takes.' },
        perSecond: { kind: 'number', min: 1, default: 10, summary: 'The most requests a second, to each address.' },
        backlog: {
          kind: 'number',
          min: 100,
          default: 10_000,
          summary: 'The most keys that wait; beyond that those of one `path` become one, which drops all its pages.',
        },
        again: {
          kind: 'duration',
          default: '6s',
          zero: true,
          summary:
            'Each key is purged once more after this, for what the edge fetched at the moment of the purge. More than `maxStaleness`; 0: not.',
        },
      },
    },
  },
} as const

export type ResolvedPublish = OutputOf<typeof publishSchema>

/** What no field can see by itself. */
export function checkPublish({ s3 = {}, edge = {} }: Incomplete<ResolvedPublish>): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (s3.bucket === undefined && (s3.endpoint ?? s3.prefix ?? s3.region ?? s3.accessKeyId) !== undefined) {
    problems.push({ path: 'publish.s3', message: 'is of use only with publish.s3.bucket' })
  }
  if ((s3.accessKeyId === undefined) !== (s3.secretAccessKey === undefined)) {
    problems.push({
      path: 'publish.s3.accessKeyId',
      message: 'needs publish.s3.secretAccessKey, and the other way round',
    })
  }
  const urls = edge.urls ?? []
  if (edge.kind !== undefined && urls.length === 0) {
    problems.push({ path: 'publish.edge.urls', message: `expected where purges go, beside kind ${edge.kind}` })
  }
  if (edge.kind === undefined && urls.length > 0) {
    problems.push({ path: 'publish.edge.kind', message: 'expected what is at publish.edge.urls' })
  }
  for (const [index, url] of urls.entries()) {
    if (url === undefined || (URL.canParse(url) && /^https?:/.test(url))) continue
    problems.push({
      path: `publish.edge.urls[${index}]`,
      message: 'expected an address that begins with http:// or https://',
    })
  }
  return problems
}
