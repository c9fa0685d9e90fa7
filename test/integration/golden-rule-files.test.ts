/** The golden-rule check on an app that writes a file. */

import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { resolveConfig } from '../../src/app/config.ts'
import { copyDisc } from '../../src/cli/check/own-disc.ts'
import { appFolder, checkApp, told } from '../support/golden-rule.ts'
import { makeDirectory } from '../support/postgres.ts'

suite('the golden rule and files', { concurrency: 1 }, () => {
  test('a file that the app writes is found although the app hides that it was refused, with request and line', async () => {
    const found = await checkApp('file-writer', 'GET /\n###\nPOST /notes\n\nhello\n###\nGET /notes\n', {
      clones: 2,
      ways: 1,
    })
    const [access, ...others] = found.accesses
    assert.deepEqual(others, [])
    assert.equal(access?.permission, 'FileSystemWrite')
    assert.deepEqual(access?.resources, [fileURLToPath(new URL('note.txt', appFolder))])
    assert.match(access?.by ?? '', /file-writer\.ts:13$/)
    assert.deepEqual(
      access?.requests.map((request) => request?.place),
      ['file-writer.http:3'],
    )
    // Refused to all, it is missing everywhere.
    assert.deepEqual(found.differences, [])
    const spared = await checkApp('file-writer', 'POST /notes\n', {
      clones: 2,
      ways: 1,
      ignoredWrites: [fileURLToPath(appFolder).slice(0, -1)],
    })
    assert.deepEqual(spared.accesses, [])
  })

  test('where clones may write, a file is on the disc of one clone, and not on this one', async (t) => {
    // A small project: each clone gets a copy of it.
    const project = await makeDirectory(t, 'project-')
    await mkdir(join(project, 'node_modules'))
    await symlink(join(import.meta.dirname, '../..'), join(project, 'node_modules/fourfold'))
    await writeFile(join(project, 'package.json'), '{ "type": "module" }')
    await copyFile(new URL('file-writer.ts', appFolder), join(project, 'app.ts'))
    const script = 'POST /notes\n\nhello\n###\nGET /notes\n'
    const app = pathToFileURL(join(project, 'app.ts'))
    const found = await checkApp(app, script, { clones: 2, ways: 1, writes: 'report' })
    assert.deepEqual(told(found), ['5 body $.note: a file on the disc of another clone'])
    assert.deepEqual(found.accesses[0]?.resources, [join(project, 'note.txt')])
    await assert.rejects(readFile(join(project, 'note.txt')), { code: 'ENOENT' })
  })

  test('where clones may write, threads that they start begin in the same folder', async (t) => {
    const project = await makeDirectory(t, 'project-')
    await mkdir(join(project, 'node_modules'))
    await symlink(join(import.meta.dirname, '../..'), join(project, 'node_modules/fourfold'))
    const app = [
      "import { once } from 'node:events'",
      "import { Worker } from 'node:worker_threads'",
      "import { defineApp } from 'fourfold'",
      'export default defineApp({ databases: {}, server: async () => async (request, response) => {',
      "  const [cwd] = await once(new Worker(new URL('./thread.ts', import.meta.url)), 'message')",
      "  response.end(cwd === process.cwd() ? 'same' : 'other')",
      '} })',
    ].join('\n')
    await writeFile(join(project, 'package.json'), '{"type":"module"}')
    await writeFile(join(project, 'app.ts'), app)
    const thread = "import { parentPort } from 'node:worker_threads'\nparentPort?.postMessage(process.cwd())"
    await writeFile(join(project, 'thread.ts'), thread)
    const found = await checkApp(pathToFileURL(join(project, 'app.ts')), 'GET /\n', {
      clones: 2,
      ways: 1,
      writes: 'report',
    })
    assert.deepEqual(
      found.replayed.map(({ status }) => status),
      [200],
    )
    assert.deepEqual(found.differences, [])
    assert.deepEqual(
      found.accesses.map(({ permission }) => permission),
      ['WorkerThreads'],
    )
  })

  test('what clones get a copy of is the app, without its data directory', async (t) => {
    const project = await makeDirectory(t, 'project-')
    await mkdir(join(project, 'data/main'), { recursive: true })
    await writeFile(join(project, 'data/main/PG_VERSION'), '18')
    await writeFile(join(project, 'data/session-secrets'), 'hunter2')
    await writeFile(join(project, 'package.json'), '{}')
    await writeFile(join(project, 'app.ts'), '')
    const config = resolveConfig({ databases: {} }, { FOURFOLD_DATA_DIR: join(project, 'data') })
    const place = await copyDisc(join(project, 'app.ts'), join(project, '.fourfold'), resolve(config.dataDir))
    const copied = await readdir(dirname(place.appFile), { recursive: true })
    assert.deepEqual(copied.toSorted(), ['app.ts', 'package.json'])
  })
})
