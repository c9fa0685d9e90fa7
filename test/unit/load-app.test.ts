/** From a file's path to the app it exports, or to what has to be done. */

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { loadApp } from '../../src/app/load-app.ts'
import { makeDirectory } from '../support/postgres.ts'

const define = pathToFileURL(join(import.meta.dirname, '../../src/app/define-app.ts')).href

test('a file that is missing, or exports no app, is named', async (t) => {
  const directory = await makeDirectory(t, 'ff-load-')
  const file = join(directory, 'app.ts')
  await assert.rejects(loadApp(file), { code: 'FF_APP_INVALID', message: /There is no file .*app\.ts/ })
  await writeFile(file, 'export default 1\n')
  await assert.rejects(loadApp(file), { code: 'FF_APP_INVALID', message: /does not export an app/ })
})

// What `npm init` writes since npm 11.
for (const where of ['the app itself', 'a file of its own']) {
  test(`a package of the type commonjs is told what to do: ${where}`, async (t) => {
    const directory = await makeDirectory(t, 'ff-load-')
    const inner = join(directory, 'inner')
    await mkdir(inner)
    const isOuter = where === 'the app itself'
    await writeFile(join(directory, 'package.json'), `{ "type": "${isOuter ? 'commonjs' : 'module'}" }`)
    if (!isOuter) await writeFile(join(inner, 'package.json'), '{ "type": "commonjs" }')
    await writeFile(join(inner, 'jobs.ts'), 'export const jobs = []\n')
    const imported = isOuter ? '' : `import './inner/jobs.ts'\n`
    const text = `import { defineApp } from '${define}'\n${imported}export default defineApp({ databases: {} })\n`
    await writeFile(join(directory, 'app.ts'), text)
    await assert.rejects(loadApp(join(directory, 'app.ts')), {
      code: 'FF_APP_INVALID',
      message: /"type": "commonjs".*npm pkg set type=module/,
    })
  })
}
