import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspectConfig, resolveConfig } from '../../src/app/config.ts'
import type { ConfigProblem } from '../../src/core/config.ts'
import { environmentName } from '../../src/core/config-schema.ts'
import { isFourfoldError } from '../../src/core/errors.ts'
import { nearestKey } from '../../src/core/nearest-key.ts'

function problemsOf(definition: object, env: Record<string, string> = {}): readonly ConfigProblem[] {
  try {
    resolveConfig(definition, env)
  } catch (error) {
    assert.ok(isFourfoldError(error, 'FF_CONFIG_INVALID'))
    return error.fields['problems'] as readonly ConfigProblem[]
  }
  return []
}

describe('configuration', () => {
  it('an empty app gets every default, with durations in milliseconds and sizes in bytes', () => {
    const config = resolveConfig({ databases: { main: {} } }, {})
    assert.equal(config.databases['main']?.replicas, 1)
    assert.equal(config.databases['main']?.replicaWaitMs, 10)
    assert.equal(config.databases['main']?.level, 'session')
    assert.equal(config.sessions.idleMs, 7 * 86_400_000)
    assert.equal(config.balancer.bodyLimitBytes, 8 * 1024 * 1024)
    assert.deepEqual(config.clones, { min: 2, max: 2, host: '127.0.0.1', writes: 'refuse', graceMs: 10_000 })
    assert.deepEqual(JSON.parse(JSON.stringify(config)), config)
  })

  it('reports every mistake in one list, each with its path', () => {
    const problems = problemsOf({
      databases: { main: { urll: 'postgres://x', maxStaleness: 'soon' } },
      store: { deadline: -1 },
      clones: { min: 'two' },
      levle: 'strict',
      server: 'not code',
      sessions: { secrets: ['long enough to be one of the secrets', 7] },
    })
    assert.deepEqual(problems.map(({ path }) => path).toSorted(), [
      'clones.min',
      'databases.main.maxStaleness',
      'databases.main.urll',
      'levle',
      'server',
      'sessions.secrets[1]',
      'store.deadline',
    ])
    assert.match(problems.find(({ path }) => path === 'levle')?.message ?? '', /did you mean "level"/)
    assert.match(problems.find(({ path }) => path === 'databases.main.urll')?.message ?? '', /did you mean "url"/)
    assert.match(problems.find(({ path }) => path === 'store.deadline')?.message ?? '', /expected a duration .* got -1/)
  })

  it('mistakes between fields stand in the same list as mistakes within one', () => {
    const problems = problemsOf({
      databases: { main: { url: 'mysql://x' }, Other: { level: 'sesion' } },
      store: { url: 'http://x', deadline: 'soon' },
      clones: { min: 5, max: 2, grace: 'long' },
      sessions: { secrets: ['short', 7], idle: -1 },
      balancer: { trustProxy: ['10.0.0.0/8', 'nonsense'], port: 'x' },
    })
    assert.deepEqual(problems.map(({ path }) => path).toSorted(), [
      'balancer.port',
      'balancer.trustProxy[1]',
      'clones.grace',
      'clones.max',
      'databases.Other',
      'databases.Other.level',
      'databases.main.url',
      'sessions.idle',
      'sessions.secrets[0]',
      'sessions.secrets[1]',
      'store.deadline',
      'store.url',
    ])
  })

  it('the store is one server, or one of the databases', () => {
    const paths = (store: object): string[] => problemsOf({ databases: { main: {} }, store }).map(({ path }) => path)
    assert.deepEqual(paths({ database: 'other' }), ['store.database'])
    assert.deepEqual(paths({ database: 'main', url: 'redis://x' }), ['store.database'])
    assert.equal(resolveConfig({ databases: { main: {} }, store: { database: 'main' } }, {}).store.database, 'main')
    const url = 'postgres://x@y/z'
    assert.equal(resolveConfig({ store: { url } }, {}).store.url, url)
  })

  it('the cache has a memory, and a tier by its address or none', () => {
    const { cache } = resolveConfig({}, { FOURFOLD_CACHE_TIER_URL: 'memcached://h:1', FOURFOLD_CACHE_MEMORY: '1MiB' })
    assert.deepEqual(cache, { memoryBytes: 2 ** 20, compressAboveBytes: 4096, tierUrl: 'memcached://h:1' })
    assert.equal(resolveConfig({ cache: { tierUrl: 'none' } }, {}).cache.tierUrl, 'none')
    assert.equal(resolveConfig({}, {}).cache.tierUrl, undefined)
    const paths = problemsOf({ cache: { tierUrl: 'postgres://x/y', memory: -1 } }).map(({ path }) => path)
    assert.deepEqual(paths.toSorted(), ['cache.memory', 'cache.tierUrl'])
  })

  it('what no part could work with is a mistake, and null is no default', () => {
    const replica = 'postgres://replica/x'
    const paths = (definition: object, env = {}): string[] =>
      problemsOf(definition, env)
        .map(({ path }) => path)
        .toSorted()
    assert.deepEqual(paths({ clones: 1.5, balancer: { port: null, requestTimeout: '30d', headerTimeout: 0 } }), [
      'balancer.headerTimeout',
      'balancer.port',
      'balancer.requestTimeout',
      'clones.max',
      'clones.min',
    ])
    assert.deepEqual(paths({ databases: { main: null }, store: { deadline: 0 }, level: null }), [
      'databases.main',
      'level',
      'store.deadline',
    ])
    assert.deepEqual(
      paths({ sessions: { cookie: 'a b', idle: 0 }, databases: { main: { statementTimeout: '60d' } } }),
      ['databases.main.statementTimeout', 'sessions.cookie', 'sessions.idle'],
    )
    const twice = [
      { url: replica, name: 'a' },
      { url: 'mysql://x', name: 'a' },
    ]
    assert.deepEqual(paths({ databases: { main: { url: 'postgres://primary/x', replicas: twice } } }), [
      'databases.main.replicas[1].name',
      'databases.main.replicas[1].url',
    ])
    assert.deepEqual(paths({}, { FOURFOLD_CLONES_MIN: '2.5' }), ['clones.min'])
    assert.deepEqual(paths({ clones: { grace: 0 }, sessions: { absolute: '400d' } }), [])
    assert.deepEqual(paths({ databases: { main: { replicaWait: 0, maxStaleness: 0 } } }), [])
  })

  it('the environment wins over the app, and the command line over the environment', () => {
    const app = { databases: { main: { url: 'postgres://app/x' } }, balancer: { port: 1000 } }
    const env = { DATABASE_URL: 'postgres://env/x', PORT: '2000', FOURFOLD_STORE_DEADLINE: '1s', FOURFOLD_CLONES: '3' }
    const config = resolveConfig(app, env, { balancer: { port: 3000 } })
    assert.equal(config.databases['main']?.url, 'postgres://env/x')
    assert.deepEqual(config.databases['main']?.replicas, [])
    assert.equal(config.balancer.port, 3000)
    assert.equal(resolveConfig(app, env).balancer.port, 2000)
    assert.equal(config.store.deadlineMs, 1000)
    assert.equal(config.clones.min, 3)
    assert.equal(config.clones.max, 3)
  })

  it('a full environment name wins over its alias, and a key over the bare number', () => {
    const config = resolveConfig(
      { databases: { main: {} } },
      {
        FOURFOLD_DATABASES_MAIN_URL: 'postgres://full/x',
        DATABASE_URL: 'postgres://alias/x',
        FOURFOLD_CLONES_MAX: '9',
        FOURFOLD_CLONES: '3',
        FOURFOLD_SECRETS: 'the-first-secret-of-all-the-secrets,the-second-secret-of-all-the-secrets',
      },
    )
    assert.equal(config.databases['main']?.url, 'postgres://full/x')
    assert.deepEqual([config.clones.min, config.clones.max], [3, 9])
    assert.deepEqual(config.sessions.secrets, [
      'the-first-secret-of-all-the-secrets',
      'the-second-secret-of-all-the-secrets',
    ])
  })

  it('a mistake from the environment names the variable', () => {
    const [problem] = problemsOf({}, { PORT: 'eighty' })
    assert.equal(problem?.path, 'balancer.port')
    assert.match(problem?.message ?? '', /got "eighty" \(from PORT\)/)
  })

  it('replicas may be addresses beside a url, in code and in the environment', () => {
    const url = 'postgres://primary/x'
    const replicas = [{ url: 'postgres://a/x', name: 'a' }, { url: 'postgres://b/x' }]
    assert.deepEqual(
      resolveConfig({ databases: { main: { url, replicas } } }, {}).databases['main']?.replicas,
      replicas,
    )
    const env = { DATABASE_URL: url, FOURFOLD_DATABASES_MAIN_REPLICAS: 'postgres://a/x, postgres://b/x' }
    const fromEnv = resolveConfig({ databases: { main: {} } }, env).databases['main']?.replicas
    assert.deepEqual(fromEnv, [{ url: 'postgres://a/x' }, { url: 'postgres://b/x' }])
    assert.equal(problemsOf({ databases: { main: { replicas } } })[0]?.path, 'databases.main.replicas')
    assert.equal(problemsOf({ databases: { main: { url, replicas: [{ nam: 'a' }] } } }).length, 2)
  })

  it('secrets and passwords stand in no message and in no listing', () => {
    const { settings } = inspectConfig(
      {
        databases: { main: { url: 'postgres://me:hunter2@h/x' } },
        sessions: { secrets: ['hunter2-hunter2-hunter2-hunter2-hunter2'] },
      },
      {},
    )
    assert.ok(!JSON.stringify(settings).includes('hunter2'))
    assert.equal(settings.find(({ path }) => path === 'sessions.secrets')?.shown, '***')
    const problems = problemsOf({
      sessions: { secrets: 'hunter2' },
      databases: { main: { url: 'http://me:hunter2@h/x' } },
    })
    assert.ok(problems.length > 0 && !JSON.stringify(problems).includes('hunter2'))
  })

  it('production needs secrets', () => {
    assert.equal(problemsOf({}, { NODE_ENV: 'production' })[0]?.path, 'sessions.secrets')
  })

  it('a variable that fits nothing is a warning with the nearest name', () => {
    const { warnings } = inspectConfig({}, { FOURFOLD_STORE_ULR: 'redis://x', FOURFOLD_PROCESS: '{}' })
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /FOURFOLD_STORE_ULR .* FOURFOLD_STORE_URL/)
  })

  it('something that is no app at all is one mistake', () => {
    assert.equal(problemsOf([]).length, 1)
    assert.equal(problemsOf({ databases: 7, store: null as unknown as object }).length, 2)
  })
})

describe('names', () => {
  it('a path has one spelling in the environment', () => {
    assert.equal(environmentName('databases.main.maxStaleness'), 'FOURFOLD_DATABASES_MAIN_MAX_STALENESS')
    assert.equal(environmentName('databases.main.replicas[0].url'), 'FOURFOLD_DATABASES_MAIN_REPLICAS_0_URL')
  })

  it('the nearest key is found, and none where nothing is near', () => {
    assert.equal(nearestKey('databses', ['databases', 'store']), 'databases')
    assert.equal(nearestKey('zzzzzzz', ['databases', 'store']), null)
  })
})
