/** The settings of files: where they are kept, and how large they may be. */

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const filesSchema = {
  kind: 'group',
  summary: "Files that users put: kept in one of the app's databases, or in S3 where `files.s3.bucket` is given.",
  fields: {
    database: { kind: 'text', default: 'main', summary: 'The database that keeps them, where S3 does not.' },
    maxSize: {
      kind: 'bytes',
      default: '5MiB',
      summary:
        'The most bytes of a file that is put without a limit of its own. The balancer takes no larger request than `balancer.bodyLimit`.',
    },
    path: {
      kind: 'text',
      default: '/files',
      summary: 'The path under which files are served; their URLs begin with it.',
    },
    s3: {
      kind: 'group',
      summary: 'A bucket of Amazon S3, or of what speaks its protocol. Needs the package `@aws-sdk/client-s3`.',
      fields: {
        bucket: { kind: 'text', summary: "The bucket's name. Without it files are kept in the database." },
        region: {
          kind: 'text',
          summary: 'Its region. Default: what the AWS SDK finds, and `us-east-1` beside `endpoint`.',
        },
        endpoint: { kind: 'text', url: true, summary: "The address of a server that is not Amazon's." },
        prefix: { kind: 'text', summary: 'Put before every key, where others use the bucket too: `app/`.' },
        accessKeyId: {
          kind: 'text',
          summary: 'The key. Default: what the AWS SDK finds, such as the role of the machine.',
        },
        secretAccessKey: { kind: 'text', secret: true, summary: 'Its secret.' },
      },
    },
  },
} as const

export type ResolvedFiles = OutputOf<typeof filesSchema>

/** What no field can see by itself. */
export function checkFiles(files: Incomplete<ResolvedFiles>, databases: object): readonly ConfigProblem[] {
  const { path, database, s3 = {} } = files
  const problems: ConfigProblem[] = []
  if (path !== undefined && !/^(?:\/[\w.~-]+)+$/.test(path)) {
    const message = `expected a path such as "/files", got ${JSON.stringify(path)}`
    problems.push({ path: 'files.path', message })
  }
  // An app without databases may do without files, too.
  if (s3.bucket === undefined && database !== undefined && database !== 'main' && !Object.hasOwn(databases, database)) {
    problems.push({ path: 'files.database', message: `there is no database ${JSON.stringify(database)}` })
  }
  const others = Object.entries(s3).filter(([key, value]) => key !== 'bucket' && value !== undefined)
  if (s3.bucket === undefined && others.length > 0) {
    problems.push({ path: `files.s3.${others[0]?.[0]}`, message: 'is of use only beside files.s3.bucket' })
  }
  if ((s3.accessKeyId === undefined) !== (s3.secretAccessKey === undefined)) {
    problems.push({ path: 'files.s3.accessKeyId', message: 'needs files.s3.secretAccessKey, and the other way round' })
  }
  return problems
}
