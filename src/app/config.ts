/**
 * The configuration of an app, resolved: what its schema says of what the app, the environment and the command line give,
 * and what no area of it can see alone. The settings stand by area in `config/`.
 */

import { checkBalancer } from './config/balancer.ts'
import { checkTier } from './config/cache.ts'
import { checkCount, checkPorts } from './config/clones.ts'
import { checkDatabase, type databaseSchema, type FullDatabase } from './config/database.ts'
import { checkFiles } from './config/files.ts'
import { checkPublish } from './config/publish.ts'
import { checkQueue } from './config/queue.ts'
import { checkPaths } from './config/rollout.ts'
import { appSchema } from './config/schema.ts'
import { checkSessions } from './config/sessions.ts'
import { checkStore } from './config/store.ts'
import { readConfig, type ConfigProblem, type ConfigSetting, type Incomplete } from '../core/config.ts'
import type { InputOf, OutputOf } from '../core/config-schema.ts'

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
  problems.push(...checkCount(clones ?? {}), ...checkSessions(sessions ?? {}, env), ...checkBalancer(balancer ?? {}))
  problems.push(...checkFiles(config.files ?? {}, databases))
  problems.push(...checkPublish(config.publish ?? {}))
  problems.push(...checkQueue(config.queue ?? {}, Object.keys(databases)))
  problems.push(...checkPaths(config.rollout?.check ?? []))
  problems.push(...checkPorts(clones?.ports))
  return problems
}
