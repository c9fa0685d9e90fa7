/** The packages of a release: what npm installs of them, what is left out, and what may not be. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { everything, makeProject, packageJson, refusedAs, release, run, writeFiles } from '../support/small-release.ts'

suite('the packages of a release', () => {
  /** Fourfold as an archive beside the project, with a lifecycle script and 20 KB of content. */
  async function makePacked(t: TestContext): Promise<string> {
    const project = await makeProject(t)
    const script = `node -e "require('fs').writeFileSync('ran', '')"`
    const about = { name: 'fourfold', version: '1.2.3', scripts: { postinstall: script } }
    await writeFiles(project, {
      '.pack/package/package.json': JSON.stringify(about),
      '.pack/package/big': 'x'.repeat(20_000),
    })
    await run('tar', ['-czf', join(project, 'fourfold-1.2.3.tgz'), '-C', join(project, '.pack'), 'package'])
    const hash = createHash('sha512').update(await readFile(join(project, 'fourfold-1.2.3.tgz')))
    const resolved = 'file:fourfold-1.2.3.tgz'
    const locked = { version: '1.2.3', resolved, integrity: `sha512-${hash.digest('base64')}`, hasInstallScript: true }
    const packages = { '': { name: 'shop' }, 'node_modules/fourfold': locked }
    await writeFile(join(project, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }))
    const dependencies = { fourfold: resolved }
    await writeFile(join(project, 'package.json'), JSON.stringify({ ...packageJson, dependencies }))
    await writeFile(join(project, '.npmrc'), 'offline=true\n')
    return project
  }

  test('come from archives beside the project too, and their scripts run only when asked', async (t) => {
    const project = await makePacked(t)
    const made = await release(project, { install: true })
    assert.deepEqual(made.scriptsNotRun, ['fourfold'])
    assert.equal(made.manifest.packages?.count, 1)
    const installed = join(made.folder, 'node_modules/fourfold')
    assert.deepEqual(await readdir(installed), ['big', 'package.json'])
    assert.equal((await readdir(made.folder)).includes('.npmrc'), false)
    const once = await everything(made.folder)
    await release(project, { install: true })
    assert.deepEqual(await everything(made.folder), once)
    const run = await release(project, { install: true, scripts: true })
    assert.deepEqual([run.scriptsNotRun, await readdir(installed)], [[], ['big', 'package.json', 'ran']])
  })

  /** A project whose one package is at a registry that never answers. */
  async function makeWaiting(t: TestContext, version: string): Promise<{ project: string; asked: Promise<[Socket]> }> {
    const project = await makeProject(t)
    const registry = createServer()
    const asked = once(registry, 'connection') as Promise<[Socket]>
    registry.listen(0, '127.0.0.1')
    await once(registry, 'listening')
    t.after(() => registry.close())
    const resolved = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/fourfold.tgz`
    const packages = { '': { name: 'shop' }, 'node_modules/fourfold': { version, resolved } }
    await writeFiles(project, {
      'package.json': JSON.stringify({ ...packageJson, dependencies: { fourfold: '*' } }),
      'package-lock.json': JSON.stringify({ lockfileVersion: 3, packages }),
      '.npmrc': '//127.0.0.1/:_authToken=hunter2\n',
    })
    return { project, asked }
  }

  async function requireNothingLeft(project: string, npm: Socket): Promise<void> {
    if (!npm.closed) await once(npm.on('error', () => undefined).resume(), 'close')
    const left = (await readdir(project)).filter((name) => name.includes('release'))
    assert.deepEqual(left, [])
  }

  test('are given up with the build: npm ends, and nothing is left', async (t) => {
    const { project, asked } = await makeWaiting(t, '1.2.3')
    const calledOff = new AbortController()
    const refused = assert.rejects(release(project, { install: true, signal: calledOff.signal }), /enough/)
    const [npm] = await asked
    calledOff.abort(new Error('enough'))
    await refused
    await requireNothingLeft(project, npm)
  })

  test('are given up by Ctrl-C', async (t) => {
    const root = join(import.meta.dirname, '../..')
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    const { project, asked } = await makeWaiting(t, version)
    const words = ['-C', 'fourfold:source', join(root, 'src/cli/main.ts'), 'build', 'src/app.ts', '--no-load']
    const command = spawn(process.execPath, words, { cwd: project, stdio: 'ignore' })
    t.after(() => command.kill('SIGKILL'))
    const ended = once(command, 'exit')
    const [npm] = await asked
    command.kill('SIGINT')
    assert.deepEqual(await ended, [130, null])
    await requireNothingLeft(project, npm)
  })

  test('are refused over their budget, with the largest by name, and when npm refuses them', async (t) => {
    const project = await makePacked(t)
    const tooLarge = refusedAs(
      'FF_RELEASE_SIZE',
      /take 0\.0 MB, and 0\.0 MB are allowed \(--max-size\).*\n +0\.0 MB {2}fourfold/,
    )
    await assert.rejects(release(project, { install: true, maxPackageBytes: 20_000 }), tooLarge)
    const dependencies = { fourfold: 'file:fourfold-1.2.3.tgz', 'not-in-the-lockfile': '1.0.0' }
    await writeFile(join(project, 'package.json'), JSON.stringify({ ...packageJson, dependencies }))
    const refusal = refusedAs('FF_RELEASE_INSTALL', /npm ci .* ended with 1:.*not-in-the-lockfile/s)
    await assert.rejects(release(project, { install: true }), refusal)
    assert.equal((await readdir(project)).includes('release'), false)
  })
})
