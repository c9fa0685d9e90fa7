/** The settings of one database: its servers, how fresh reads are, and how its changes are followed. */

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const databaseSchema = {
  kind: 'group',
  summary: 'One database cluster. Without `url` it is embedded: PostgreSQL started by Fourfold in `dataDir`.',
  fields: {
    url: {
      kind: 'text',
      url: true,
      summary:
        'Address of the primary (`postgres://user:password@host/database`). Without it the database is embedded.',
    },
    directUrl: {
      kind: 'text',
      url: true,
      summary: 'Address of the primary past a transaction pooler, where `url` leads to one. For migrations, and for workers, which listen to calls.',
    },
    replicas: {
      kind: 'countOrList',
      summary:
        'Embedded: how many standbys are started (default 1). With `url`: the addresses of the read replicas (default none); a number does not count then.',
      of: {
        kind: 'group',
        summary: 'One replica.',
        fields: {
          url: { kind: 'text', url: true, required: true, summary: 'Its address.' },
          name: { kind: 'text', summary: 'Its name in logs and metrics. Default: `replica-1` and so on.' },
        },
      },
    },
    migrations: {
      kind: 'text',
      summary:
        'Folder of migrations (`.ts`, `.js` or `.sql`), relative to the file that defines the app. They run once, before the first clone starts.',
    },
    tls: {
      kind: 'data',
      secret: true,
      expects: 'TLS options as pg takes them, or true',
      summary: 'TLS options for all connections to this database, as the package pg takes them.',
    },
    level: {
      kind: 'choice',
      options: ['eventual', 'session', 'monotonic', 'strict'],
      summary: "The freshness level of reads of this database that name none. Default: the app's `level`.",
    },
    replicaWait: {
      kind: 'duration',
      default: '10ms',
      zero: true,
      summary: 'How long a read waits for a replica that is a little behind the reader before it goes to the primary.',
    },
    maxStaleness: {
      kind: 'duration',
      default: '5s',
      zero: true,
      summary: 'A replica that is further behind than this gets no reads at level `eventual` either.',
    },
    statementTimeout: { kind: 'duration', default: '30s', summary: 'A statement that takes longer is cancelled.' },
    connectTimeout: { kind: 'duration', default: '5s', summary: 'How long a connection may take to open.' },
    poolSize: {
      kind: 'number',
      min: 1,
      max: 1000,
      summary:
        "Connections per process and server. Default: what the server's max_connections allows, shared by all processes.",
    },
    onPrimaryDown: {
      kind: 'choice',
      options: ['serve', 'refuse'],
      default: 'serve',
      summary:
        'What reads do while the primary does not answer: `serve` from replicas that are as fresh as the reader needs, or `refuse`.',
    },
    changeStream: {
      kind: 'choice',
      options: ['auto', 'off', 'required'],
      default: 'auto',
      summary:
        'Whether the changes of this database are followed, without which nothing of it is cached: `auto` where the server allows it (`fourfold doctor` says what is missing), `required` to refuse to start where it does not.',
    },
    tracking: {
      kind: 'group',
      summary: 'How closely the changes of tables are followed that something cached depends on.',
      fields: {
        default: {
          kind: 'choice',
          options: ['full', 'key', 'off'],
          default: 'full',
          summary:
            'For tables that are not named below. `full` tells rows apart by any column and makes the server log whole old rows; `key` by the primary key alone; `off` keeps nothing that read the table.',
        },
        tables: {
          kind: 'data',
          expects: 'tables as `table` or `schema.table`, each with full, key or off',
          summary: "By table: `{ audit: 'off', 'shop.orders': 'key' }`.",
        },
      },
    },
    ddl: {
      kind: 'choice',
      options: ['any', 'migrations-only'],
      default: 'any',
      summary:
        'Who changes tables. `any` needs the right to create event triggers; with `migrations-only` you promise that nobody but the migrations of this app does.',
    },
  },
} as const

export type FullDatabase = OutputOf<typeof databaseSchema>

/** What no field can see by itself. */
export function checkDatabase(name: string, database: Incomplete<FullDatabase>): readonly ConfigProblem[] {
  const path = `databases.${name}`
  const problems: ConfigProblem[] = []
  if (!/^[a-z][A-Za-z\d]*$/.test(name)) {
    problems.push({ path, message: 'expected a name of letters and digits that begins with a small letter' })
  }
  if (database.url === undefined && Array.isArray(database.replicas)) {
    problems.push({ path: `${path}.replicas`, message: `a list of addresses needs ${path}.url, the primary's` })
  }
  if (database.url === undefined && database.directUrl !== undefined) {
    problems.push({ path: `${path}.directUrl`, message: `is of use only beside ${path}.url` })
  }
  for (const key of ['url', 'directUrl'] as const) {
    const url = database[key]
    if (url !== undefined && !postgresUrl.test(url)) {
      problems.push({ path: `${path}.${key}`, message: 'expected an address that begins with postgres://' })
    }
  }
  if (Array.isArray(database.replicas)) problems.push(...checkReplicas(`${path}.replicas`, database.replicas))
  for (const [table, mode] of Object.entries(database.tracking?.tables ?? {})) {
    if (trackingModes.includes(mode)) continue
    const message = `expected one of ${trackingModes.join(', ')}, got ${JSON.stringify(mode)}`
    problems.push({ path: `${path}.tracking.tables.${table}`, message })
  }
  return problems
}

type Replica = Exclude<NonNullable<FullDatabase['replicas']>, number>[number]

function checkReplicas(path: string, replicas: readonly (Incomplete<Replica> | undefined)[]): readonly ConfigProblem[] {
  return replicas.flatMap((replica, index) => {
    const problems: ConfigProblem[] = []
    const { url, name } = replica ?? {}
    if (url !== undefined && !postgresUrl.test(url)) {
      problems.push({ path: `${path}[${index}].url`, message: 'expected an address that begins with postgres://' })
    }
    if (name !== undefined && replicas.findIndex((other) => other?.name === name) !== index) {
      problems.push({ path: `${path}[${index}].name`, message: `another replica has the name ${JSON.stringify(name)}` })
    }
    return problems
  })
}

const trackingModes: readonly unknown[] = databaseSchema.fields.tracking.fields.default.options
const postgresUrl = /^postgres(?:ql)?:\/\//
