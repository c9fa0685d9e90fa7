/** The commands as a user meets them, on an app without a database: what they say, and what they leave alone. */

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'

import { makeDirectory } from '../support/postgres.ts'
import { nothingLeft } from '../support/start-command.ts'
import { waitFor } from '../support/wait-for.ts'

const root = join(import.meta.dirname, '../..')

const appAnswering = (answer: string): string => `import { defineApp } from 'fourfold'
export default defineApp({ clones: 1, server: async () => (_request, response) => response.end('${answer}') })
`

/** A project as users have them: a folder with the package, and an app in `src`. */
async function makeProject(t: TestContext): Promise<string> {
  const project = await makeDirectory(t, 'project-')
  for (const folder of ['src', 'node_modules']) await mkdir(join(project, folder))
  await symlink(root, join(project, 'node_modules/fourfold'))
  await writeFile(join(project, 'src/app.ts'), appAnswering('one'))
  return project
}

interface Command {
  readonly child: ChildProcess
  readonly output: () => string
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; text: string }>
}

function fourfold(t: TestContext, project: string, ...words: readonly string[]): Command {
  const command = ['-C', 'fourfold:source', join(root, 'src/cli/main.ts'), ...words]
  const child = spawn(process.execPath, command, { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, text }))
  return { child, output: () => text, ended }
}

suite('commands', () => {
  test('a taken port is said at once, before anything is made', async (t) => {
    const project = await makeProject(t)
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    t.after(() => void other.close())
    const { port } = other.address() as AddressInfo
    const { code, text } = await fourfold(t, project, 'start', '--port', String(port)).ended
    assert.equal(code, 1)
    assert.match(text, new RegExp(`FF_BALANCER_LISTEN: .*port ${port} is taken`))
    assert.deepEqual(await readdir(project), ['node_modules', 'src'])
  })

  test('a data directory that cannot be is said with its path', async (t) => {
    const project = await makeProject(t)
    const { code, text } = await fourfold(t, project, 'start', '--port', '0', '--data', 'src/app.ts/data').ended
    assert.equal(code, 1)
    assert.match(text, /FF_CONFIG_INVALID: .*\n {2}dataDir: .*src\/app\.ts\/data \(ENOTDIR\)/)
  })

  test('dev serves what stands in the files, also after a mistake in them', async (t) => {
    const project = await makeProject(t)
    const { child, output, ended } = fourfold(t, project, 'dev', '--port', '0')
    const [, url = ''] = await waitFor('the address', () => /(http:\/\/\S+)/.exec(output()), 30_000)
    const serves = async (answer: string): Promise<unknown> =>
      waitFor(`"${answer}" to be served`, async () => (await (await fetch(url)).text()) === answer, 30_000)
    await serves('one')
    await writeFile(join(project, 'src/app.ts'), appAnswering('two'))
    await serves('two')
    await writeFile(join(project, 'src/app.ts'), 'this is no TypeScript')
    await waitFor('the mistake to be told', () => output().includes('the old one stays'), 30_000)
    assert.equal(await (await fetch(url)).text(), 'two')
    await writeFile(join(project, 'src/app.ts'), appAnswering('three'))
    await serves('three')
    child.kill('SIGINT')
    assert.equal((await ended).code, 0)
    await nothingLeft(project)
  })

  test('reset deletes what Fourfold made, and nothing else that has such a name', async (t) => {
    const project = await makeProject(t)
    const data = join(project, 'data')
    for (const folder of ['data/store', 'src/store']) await mkdir(join(project, folder), { recursive: true })
    for (const file of ['data/store/store.log', 'data/session-secrets', 'data/notes.txt', 'src/store/mine.ts']) {
      await writeFile(join(project, file), '')
    }
    const unasked = await fourfold(t, project, 'reset', '--data', data).ended
    assert.equal(unasked.code, 1)
    assert.match(unasked.text, /--yes/)
    assert.match((await fourfold(t, project, 'reset', '--yes', '--data', 'src').ended).text, /nothing of Fourfold's/)
    await access(join(project, 'src/store/mine.ts'))
    assert.equal((await fourfold(t, project, 'reset', '--yes', '--data', data).ended).code, 0)
    assert.deepEqual(await readdir(data), ['notes.txt'])
  })

  test('a file that is not there and an import that is not there are told apart', async (t) => {
    const project = await makeProject(t)
    assert.match((await fourfold(t, project, 'config', 'src/nope.ts').ended).text, /There is no file src\/nope\.ts/)
    await writeFile(join(project, 'src/app.ts'), "import 'not-installed'\n")
    const { code, text } = await fourfold(t, project, 'config').ended
    assert.equal(code, 1)
    assert.match(text, /Cannot find package 'not-installed'/)
  })
})
