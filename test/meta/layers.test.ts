/** The lint step enforces the layers, and these planted violations prove that it can fail. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { forbiddenFolders, layers, packageHomes } from '../../scripts/layers.ts'

interface Plant {
  readonly folder: string
  readonly source: string
}

/** What lint says about each planted file. Each stands in a folder of its own, so that no other file is touched. */
function lintPlanted(plants: readonly Plant[]): readonly string[] {
  const paths = plants.map(({ folder }, index) => join('src', folder, `planted-${process.pid}-${index}`, 'planted.ts'))
  try {
    for (const [index, path] of paths.entries()) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, plants[index]?.source ?? '')
    }
    const run = spawnSync('oxlint', ['--format=unix', ...paths], { encoding: 'utf8', timeout: 60_000 })
    assert.ok(run.status === 0 || run.status === 1, run.stderr)
    return paths.map((path) =>
      run.stdout
        .split('\n')
        .filter((line) => line.startsWith(`${path}:`))
        .join('\n'),
    )
  } finally {
    for (const path of paths) rmSync(dirname(path), { recursive: true, force: true })
  }
}

describe('layers', () => {
  const violations: readonly (readonly [folder: string, source: string])[] = [
    ['core', "export { x } from '../../engines/position.ts'\n"],
    ['engines/postgres', "export { x } from '../../../store/store.ts'\n"],
    ['engines/postgres', "export { x } from '../../mysql/client.ts'\n"],
    ['store/memory', "export { x } from '../../redis/driver.ts'\n"],
    ['freshness', "export { x } from '../../database/cluster.ts'\n"],
    ['clones', "export { x } from '../../sessions/sessions.ts'\n"],
    ['clones', "export { x } from '../../app/open.ts'\n"],
    ['sessions', "export { x } from '../../http/fastify.ts'\n"],
    ['app', "export { x } from '../../cli/main.ts'\n"],
    ['database', "export { x } from '../../testing/index.ts'\n"],
    ['store', "import { createClient } from 'redis'\nexport const x: unknown = createClient\n"],
    ['app', "import { Pool } from 'pg'\nexport const x: unknown = Pool\n"],
    ['clones', "import { fastify } from 'fastify'\nexport const x: unknown = fastify\n"],
    ['core', 'async function work(): Promise<void> {}\nexport function x(): void {\n  work()\n}\n'],
  ]
  const allowed = "export { parseLsn } from '../../engines/position.ts'\nexport type { Pool } from 'pg'\n"
  const said = lintPlanted([
    ...violations.map(([folder, source]) => ({ folder, source })),
    { folder: 'freshness', source: allowed },
  ])

  for (const [index, [folder, source]] of violations.entries()) {
    it(`lint refuses in ${folder}: ${source.split('\n')[0]}`, () => {
      assert.match(said[index] ?? '', /no-restricted-imports|no-floating-promises/)
    })
  }

  it('lint accepts what is allowed', () => assert.equal(said[violations.length], ''))

  it('every folder of src is a layer', () => {
    const known = new Set([...layers.flat(), 'testing', 'client'])
    const unknown = globSync('src/*/')
      .map((path) => path.slice('src/'.length))
      .filter((name) => !known.has(name) && !name.endsWith('.ts'))
    assert.deepEqual(unknown, [])
  })
})

describe('lazy imports', () => {
  /** Mistakes among the `import('…')` calls of a file, which the lint rule does not see. */
  function lazyMistakes(path: string, source: string): readonly string[] {
    const folder = dirname(path).slice('src/'.length)
    return [...source.matchAll(/\bimport\('([^']+)'\)(?!\.)/g)].flatMap(([, target = '']) => {
      const homes = packageHomes[target]
      const strayed = homes !== undefined && !homes.some((home) => `${folder}/`.startsWith(`${home}/`))
      const upward = /^(?:\.\.\/)+([a-z]+)\//.exec(target)?.[1]
      const above = upward !== undefined && forbiddenFolders(folder).includes(upward)
      return strayed || above ? [`${path}: import('${target}')`] : []
    })
  }

  it('drivers are loaded only in their folders, and layers only from above', () => {
    const files = globSync('src/**/*.ts')
    assert.ok(files.length > 10)
    assert.deepEqual(
      files.flatMap((path) => lazyMistakes(path, readFileSync(path, 'utf8'))),
      [],
    )
  })

  it('a planted lazy import is found', () => {
    assert.equal(lazyMistakes('src/app/x.ts', "await import('redis')").length, 1)
    assert.equal(lazyMistakes('src/core/x.ts', "await import('../store/connect.ts')").length, 1)
    assert.equal(lazyMistakes('src/store/redis/x.ts', "await import('redis')").length, 0)
  })
})
