import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'

import { resolveFromOrigin } from '../../src/clones/build/snapshot-modules.ts'
import { checkBuild, listBuilds, makeBuild, pruneBuilds, type Build } from '../../src/clones/build/snapshot.ts'

const schema = '{}'

interface Place {
  readonly root: string
  write(files: Record<string, string>): Promise<void>
  make(more?: { readonly schema?: string; readonly entry?: string }): Promise<Build>
}

async function prepare(t: TestContext, files: Record<string, string> = {}): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'builds-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const write = async (more: Record<string, string>): Promise<void> => {
    for (const [path, text] of Object.entries(more)) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), text)
    }
  }
  await write({ 'app/src/app.ts': 'export default 1\n', 'app/public/style.css': 'p {}', ...files })
  const make: Place['make'] = ({ schema: text = schema, entry = 'app/src/app.ts' } = {}) =>
    makeBuild({ appFile: join(root, entry), dataDir: join(root, 'app/data'), schema: text })
  return { root, write, make }
}

test('the same files are the same build, wherever they stand and whenever they are copied', async (t) => {
  const [one, other] = [await prepare(t), await prepare(t)]
  const { id } = await one.make()
  assert.match(id, /^[\da-f]{32}$/)
  assert.equal((await one.make()).id, id)
  assert.equal((await other.make()).id, id)
  assert.equal((await listBuilds(join(one.root, 'app/data'))).length, 1)
})

test('whatever decides how a clone behaves makes another build', async (t) => {
  const changes: Record<string, (place: Place) => Promise<Build>> = {
    'a file': async (place) => {
      await place.write({ 'app/src/app.ts': 'export default 2\n' })
      return await place.make()
    },
    'a file’s name': async (place) => {
      await rm(join(place.root, 'app/public/style.css'))
      await place.write({ 'app/public/style2.css': 'p {}' })
      return await place.make()
    },
    'a lockfile above': async (place) => {
      await place.write({ 'package-lock.json': '{}' })
      return await place.make()
    },
    'the configuration there can be': (place) => place.make({ schema: '{"more":1}' }),
    'the file that is the app': async (place) => {
      await place.write({ 'app/src/other.ts': '' })
      const { id } = await place.make()
      const other = await place.make({ entry: 'app/src/other.ts' })
      assert.notEqual(other.id, id)
      return other
    },
  }
  const { id } = await (await prepare(t)).make()
  for (const [what, change] of Object.entries(changes)) {
    assert.notEqual((await change(await prepare(t))).id, id, what)
  }
})

test('what is installed, hidden, logged or data is no part of a build', async (t) => {
  const place = await prepare(t)
  const { id } = await place.make()
  await place.write({
    'app/node_modules/x/index.js': '',
    'app/.env': 'A=1',
    'app/app.log': 'x',
    'app/data/store/log': 'x',
  })
  assert.equal((await place.make()).id, id)
})

test('a build is what it was when it was made, and says so when it is changed', async (t) => {
  const place = await prepare(t)
  const build = await place.make()
  await place.write({ 'app/src/app.ts': 'export default 2\n' })
  assert.equal(await readFile(build.appFile, 'utf8'), 'export default 1\n')
  assert.equal(await checkBuild(build, schema), build.id)
  // Files of its own making are no part of it: an app may be allowed to write.
  await writeFile(join(build.folder, 'uploads.txt'), 'x')
  assert.equal(await checkBuild(build, schema), build.id)
  await writeFile(build.appFile, 'export default 3\n')
  assert.notEqual(await checkBuild(build, schema), build.id)
  await rm(build.appFile)
  assert.notEqual(await checkBuild(build, schema), build.id)
})

test('a copy that somebody changed is made anew', async (t) => {
  const place = await prepare(t)
  const build = await place.make()
  await writeFile(build.appFile, 'export default 3\n')
  assert.equal((await place.make()).id, build.id)
  assert.equal(await checkBuild(build, schema), build.id)
})

test('packages and files outside are found from where the original stands, the rest in the copy', async (t) => {
  const place = await prepare(t, {
    'node_modules/greeting/package.json': '{ "name": "greeting", "type": "module", "exports": "./index.js" }',
    'node_modules/greeting/index.js': `export const greeting = 'installed'`,
    'lib/shared.ts': `export const shared = 'outside'`,
    'app/src/part.ts': `export const part = 'copied'`,
    'app/src/app.ts': [
      `import { greeting } from 'greeting'`,
      `import { shared } from '../../lib/shared.ts'`,
      `import { part } from './part.ts'`,
      'export default [greeting, shared, part, import.meta.filename]',
    ].join('\n'),
  })
  const build = await place.make()
  await place.write({ 'app/src/part.ts': `export const part = 'edited'` })
  const stop = resolveFromOrigin(build)
  t.after(stop)
  const { default: found } = (await import(pathToFileURL(build.appFile).href)) as { default: string[] }
  assert.deepEqual(found, ['installed', 'outside', 'copied', build.appFile])
})

test('links are kept, and those out of the folder lead where they led', async (t) => {
  const place = await prepare(t, { 'outside/logo.svg': '<svg/>' })
  await symlink('style.css', join(place.root, 'app/public/same.css'))
  await symlink('../../outside/logo.svg', join(place.root, 'app/public/logo.svg'))
  await symlink('..', join(place.root, 'app/loop'))
  const { folder } = await place.make()
  assert.equal(await readFile(join(folder, 'public/same.css'), 'utf8'), 'p {}')
  assert.equal(await readFile(join(folder, 'public/logo.svg'), 'utf8'), '<svg/>')
})

test('the newest builds and those that are needed stay', async (t) => {
  const place = await prepare(t)
  const data = join(place.root, 'app/data')
  const ids: string[] = []
  for (let count = 0; count < 5; count += 1) {
    await place.write({ 'app/src/app.ts': `export default ${count}` })
    ids.push((await place.make()).id)
  }
  await mkdir(join(data, 'builds', '.draft-left'))
  await pruneBuilds(data, 3, [ids[0] ?? ''])
  const left = (await listBuilds(data)).map(({ id }) => id)
  assert.deepEqual(new Set(left), new Set([ids[0], ids[3], ids[4]]))
  await assert.rejects(readFile(join(data, 'builds', '.draft-left')), { code: 'ENOENT' })
})
