/**
 * The configuration of an app: its one schema. Types, validation, defaults, the environment's names and
 * `docs/reference/configuration.md` all come from {@link appSchema}; a setting is added here and nowhere else.
 */

import { bakingSchema, workersSchema } from './config-baking.ts'
import { queueSchema } from './config-queue.ts'
import { checkFiles, filesSchema } from './config-files.ts'
import { checkPublish, publishSchema } from './config-publish.ts'
import { isAddressOrRange } from '../clones/balancer/trust.ts'
import { readPorts } from '../clones/hosts/listen.ts'
import { readConfig, type ConfigProblem, type ConfigSetting, type Incomplete } from '../core/config.ts'
import type { InputOf, OutputOf } from '../core/config-schema.ts'
import { minSecretLength } from '../sessions/signer.ts'

const databaseSchema = {
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
      summary: 'Address of the primary past a transaction pooler, where `url` leads to one. Used for migrations.',
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

export const appSchema = {
  kind: 'group',
  summary: 'An app.',
  fields: {
    databases: {
      kind: 'record',
      name: 'name',
      summary: "The databases by name; `ff.databases.<name>` is each one's Kysely instance.",
      of: databaseSchema as typeof databaseSchema,
    },
    store: {
      kind: 'group',
      summary: 'The central store: sessions, freshness tokens, leases, the registry of processes.',
      fields: {
        url: {
          kind: 'text',
          url: true,
          summary:
            'Address of a Redis or Valkey server (`redis://…`), or of a PostgreSQL primary (`postgres://…`). Without it the store is embedded: a process of its own that Fourfold starts.',
        },
        database: {
          kind: 'text',
          summary:
            "The name of one of the app's databases, whose primary is then the store as well: for apps that run nothing else.",
        },
        deadline: {
          kind: 'duration',
          default: '250ms',
          summary: 'How long the store may take to answer. After that the call fails, and reads go on without it.',
        },
      },
    },
    cache: {
      kind: 'group',
      summary: 'Where cached objects and queries are kept: in each process, and in a tier that all clones share.',
      fields: {
        memory: {
          kind: 'bytes',
          summary:
            'How much each process keeps, by an estimate; what was used least lately goes first. Default: an eighth of the heap that V8 allows itself, from 32 MiB to 256 MiB.',
        },
        tierUrl: {
          kind: 'text',
          url: true,
          summary:
            "The tier that clones share: `redis://…`, `memcached://host:11211` or `none`. Default: the app's own store where that is the embedded one or Redis; none where it is PostgreSQL.",
        },
        compressAbove: {
          kind: 'bytes',
          default: '4KiB',
          summary: 'Values from so many bytes on are compressed for the shared tier.',
        },
      },
    },
    sessions: {
      kind: 'group',
      summary: 'Sessions: kept in the store, known to the browser by a signed cookie.',
      fields: {
        secrets: {
          kind: 'list',
          of: { kind: 'text', secret: true, summary: 'A secret.' },
          summary:
            'Secrets that sign cookies: the first signs, all verify, so secrets can be changed without logging anybody out. At least 32 characters each. Made for you in development; required when `NODE_ENV` is `production`.',
        },
        idle: { kind: 'duration', default: '7d', long: true, summary: 'A session that is not used for so long ends.' },
        absolute: {
          kind: 'duration',
          default: '30d',
          long: true,
          summary: 'A session ends after so long, however much it is used.',
        },
        cookie: {
          kind: 'text',
          default: 'ff_session',
          summary: 'Name of the cookie. `__Host-` is put before it where the connection is TLS.',
        },
        secure: {
          kind: 'choice',
          options: ['auto', true, false],
          default: 'auto',
          summary: "Whether the cookie is `Secure`: `auto` where the browser's connection is TLS.",
        },
      },
    },
    files: filesSchema as typeof filesSchema,
    clones: {
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
    },
    workers: workersSchema as typeof workersSchema,
    queue: queueSchema as typeof queueSchema,
    baking: bakingSchema as typeof bakingSchema,
    publish: publishSchema as typeof publishSchema,
    rollout: {
      kind: 'group',
      summary: 'How a new build takes over from the one before: `fourfold rollout`.',
      fields: {
        check: {
          kind: 'list',
          of: { kind: 'text', summary: 'A path.' },
          default: ['/'],
          summary:
            'Paths that every clone of a new build is asked for before it gets requests: it must answer each with a status below 500. They also warm it.',
        },
        checkTimeout: { kind: 'duration', default: '10s', summary: 'How long each of these answers may take.' },
        keep: {
          kind: 'number',
          min: 2,
          max: 100,
          default: 5,
          summary: 'How many builds are kept on disc, so that their assets stay reachable.',
        },
      },
    },
    balancer: {
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
    },
    level: {
      kind: 'choice',
      options: ['eventual', 'session', 'monotonic', 'strict'],
      default: 'session',
      summary: 'The freshness level of reads that name none.',
    },
    dataDir: {
      kind: 'text',
      default: '.fourfold',
      summary: 'Where embedded servers keep their data, relative to the working directory.',
    },
    logLevel: {
      kind: 'choice',
      options: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
      summary: 'The least important log lines that are written.',
    },
    identify: {
      kind: 'code',
      summary: 'Answers who the reader of a request is, where that is not the session: `(request) => string | null`.',
    },
    objects: { kind: 'code', list: true, summary: 'The cached objects: `[article, profile]`.' },
    bakeRoutes: {
      kind: 'code',
      list: true,
      summary: "Routes of `server` that are baked as nobody sees them: `['/legacy/*']`.",
    },
    jobs: {
      kind: 'code',
      list: true,
      summary: 'How jobs are done: `[runExport]`, each made by `defineJob(…).handle(…)`.',
    },
    pages: { kind: 'code', list: true, summary: 'The pages that are baked in advance: `[articlePage]`.' },
    seed: { kind: 'code', summary: 'Fills the database: `async (ff, options) => …`. Run by `fourfold seed`.' },
    server: { kind: 'code', summary: 'Makes the HTTP server: `async (ff) => …`.' },
  },
} as const

/** What configuration there can be, as a text: a part of the build id. */
export const configSchemaText: string = JSON.stringify(appSchema)

/** Short names that count where the full name is absent. */
export const environmentAliases = {
  DATABASE_URL: 'databases.main.url',
  FOURFOLD_SECRETS: 'sessions.secrets',
  PORT: 'balancer.port',
} as const

/** Variables by which Fourfold's own processes speak to each other. */
const reservedVariables = ['FOURFOLD_PROCESS']

/** What an app may set beside its code. */
export type AppOptions = InputOf<typeof appSchema>
/** What one database may set. */
export type DatabaseOptions = InputOf<typeof databaseSchema>

type FullConfig = OutputOf<typeof appSchema>
type FullDatabase = OutputOf<typeof databaseSchema>

/** A database after resolution. `replicas` is a number where it is embedded (`url` is undefined), else a list. */
export type ResolvedDatabase = Omit<FullDatabase, 'replicas' | 'level'> & {
  readonly replicas: NonNullable<FullDatabase['replicas']>
  readonly level: FullConfig['level']
}

/** The whole configuration after resolution. Plain data: it can be sent to another process as JSON. */
export type ResolvedConfig = Omit<FullConfig, 'databases' | 'clones'> & {
  readonly databases: Readonly<Record<string, ResolvedDatabase>>
  readonly clones: Omit<FullConfig['clones'], 'max'> & { readonly max: number }
}

type Environment = Readonly<Record<string, string | undefined>>

export interface ConfigInspection {
  readonly config: ResolvedConfig
  readonly settings: readonly ConfigSetting[]
  readonly warnings: readonly string[]
}

/**
 * The configuration of an app: its defaults, what it says, the environment, and the command line, in this order.
 *
 * @param definition the app, or only its options
 * @param env usually `process.env`
 * @param options what the command line says, in the shape of the app's options
 * @throws FF_CONFIG_INVALID with all mistakes in `fields.problems`
 */
export function resolveConfig(definition: object, env: Environment, options?: AppOptions): ResolvedConfig {
  return inspectConfig(definition, env, options).config
}

/** Like {@link resolveConfig}, and tells where each setting came from and what in the environment fits nothing. */
export function inspectConfig(definition: object, env: Environment, options?: AppOptions): ConfigInspection {
  const read = readConfig(
    appSchema,
    { app: definition, env, options },
    { aliases: environmentAliases, reserved: reservedVariables, check: (config) => checkTogether(config, env) },
  )
  return { ...read, config: complete(read.config) }
}

function complete(config: FullConfig): ResolvedConfig {
  const databases = Object.entries(config.databases).map(([name, database]) => {
    const given = database.replicas
    const replicas = database.url === undefined ? (given ?? 1) : Array.isArray(given) ? given : []
    return [name, { ...database, replicas, level: database.level ?? config.level }] as const
  })
  const { clones } = config
  return { ...config, databases: Object.fromEntries(databases), clones: { ...clones, max: clones.max ?? clones.min } }
}

/** What no field can see by itself. Anything may be absent that is wrong in a way which was reported already. */
function checkTogether(config: Incomplete<FullConfig>, env: Environment): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const { databases = {}, cache, clones, sessions, store, balancer } = config
  for (const [name, database] of Object.entries(databases)) problems.push(...checkDatabase(name, database ?? {}))
  problems.push(...checkStore(store ?? {}, Object.keys(databases)), ...checkTier(cache?.tierUrl))
  if (clones?.min !== undefined && clones.max !== undefined && clones.max < clones.min) {
    problems.push({ path: 'clones.max', message: `expected at least clones.min (${clones.min}), got ${clones.max}` })
  }
  problems.push(...checkSessions(sessions ?? {}, env), ...checkProxies(balancer?.trustProxy ?? []))
  const tls = balancer?.tls ?? {}
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    problems.push({ path: 'balancer.tls', message: 'expected both cert and key, or neither' })
  }
  problems.push(...checkFiles(config.files ?? {}, databases))
  problems.push(...checkPublish(config.publish ?? {}))
  problems.push(...checkQueue(config.queue ?? {}, Object.keys(databases)))
  problems.push(...checkPaths(config.rollout?.check ?? []))
  problems.push(...checkPorts(clones?.ports))
  return problems
}

function checkTier(url: string | undefined): readonly ConfigProblem[] {
  if (url === undefined || url === 'none' || /^(?:rediss?|memcached):\/\//.test(url)) return []
  const message = 'expected none, or an address that begins with redis://, rediss:// or memcached://'
  return [{ path: 'cache.tierUrl', message }]
}

function checkStore({ url, database }: Incomplete<FullConfig['store']>, names: string[]): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (url !== undefined && !/^(?:rediss?:\/\/|postgres(?:ql)?:\/\/|unix:)/.test(url)) {
    const message = 'expected an address that begins with redis://, rediss:// or postgres://'
    problems.push({ path: 'store.url', message })
  }
  if (database !== undefined && url !== undefined) {
    problems.push({ path: 'store.database', message: 'expected it alone, got store.url too: the store is one server' })
  }
  if (database !== undefined && !names.includes(database)) {
    const known = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`
    problems.push({ path: 'store.database', message: `expected the name of one of the app's databases; ${known}` })
  }
  return problems
}

function checkSessions(sessions: Incomplete<FullConfig['sessions']>, env: Environment): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const { absoluteMs, idleMs, secrets, cookie } = sessions
  if (cookie !== undefined && !/^[\w!#$%&'*+.^`|~-]+$/.test(cookie)) {
    problems.push({ path: 'sessions.cookie', message: `expected the name of a cookie, got ${JSON.stringify(cookie)}` })
  }
  if (absoluteMs !== undefined && idleMs !== undefined && absoluteMs < idleMs) {
    problems.push({ path: 'sessions.absolute', message: 'expected at least sessions.idle' })
  }
  if (env['NODE_ENV'] === 'production' && (secrets ?? []).length === 0) {
    problems.push({ path: 'sessions.secrets', message: 'is required in production; set FOURFOLD_SECRETS' })
  }
  for (const [index, secret] of (secrets ?? []).entries()) {
    if (secret !== undefined && secret.length < minSecretLength) {
      problems.push({
        path: `sessions.secrets[${index}]`,
        message: `expected at least ${minSecretLength} characters, got ${secret.length}`,
      })
    }
  }
  return problems
}

function checkQueue(queue: Incomplete<FullConfig['queue']>, names: string[]): readonly ConfigProblem[] {
  const { database, recoverWithinMs, path } = queue
  const problems: ConfigProblem[] = []
  if (database !== undefined && !names.includes(database)) {
    const known = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`
    problems.push({ path: 'queue.database', message: `expected the name of one of the app's databases; ${known}` })
  }
  if (recoverWithinMs !== undefined && recoverWithinMs < 2_000) {
    problems.push({ path: 'queue.recoverWithin', message: `expected at least 2s, got ${recoverWithinMs} ms` })
  }
  if (path !== undefined && !/^(?:\/[\w.~-]+)+$/.test(path)) {
    problems.push({ path: 'queue.path', message: `expected a path such as "/jobs", got ${JSON.stringify(path)}` })
  }
  return problems
}

function checkPaths(paths: readonly (string | undefined)[]): readonly ConfigProblem[] {
  return paths.flatMap((path, index) => {
    if (path === undefined || path.startsWith('/')) return []
    return [
      { path: `rollout.check[${index}]`, message: `expected a path that begins with "/", got ${JSON.stringify(path)}` },
    ]
  })
}

function checkPorts(ports: string | undefined): readonly ConfigProblem[] {
  if (ports === undefined || readPorts(ports) !== null) return []
  const message = `expected two ports from 1 to 65535, the smaller first, such as "20000-20099"; got ${JSON.stringify(ports)}`
  return [{ path: 'clones.ports', message }]
}

function checkProxies(entries: readonly (string | undefined)[]): readonly ConfigProblem[] {
  return entries.flatMap((entry, index) => {
    if (entry === undefined || isAddressOrRange(entry)) return []
    const message = `expected an IP address or a range such as "10.0.0.0/8", got ${JSON.stringify(entry)}`
    return [{ path: `balancer.trustProxy[${index}]`, message }]
  })
}

function checkDatabase(name: string, database: Incomplete<FullDatabase>): readonly ConfigProblem[] {
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
