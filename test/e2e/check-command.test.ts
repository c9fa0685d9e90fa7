/** `fourfold check` as a user meets it: what it prints, how it ends, and that it leaves nothing behind. */

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'

import { makeDirectory } from '../support/postgres.ts'
import { nothingRuns } from '../support/start-command.ts'
import { waitFor } from '../support/wait-for.ts'

const root = join(import.meta.dirname, '../..')

interface Project {
  readonly folder: string
  /** Where the check makes its temporary folders. */
  readonly temporary: string
}

/** A project as users have them, with one of the tests' apps and a script. */
async function makeProject(t: TestContext, app: string, script: string): Promise<Project> {
  const folder = await makeDirectory(t, 'check-')
  const temporary = join(folder, 'tmp')
  for (const path of ['src', 'node_modules', 'tmp']) await mkdir(join(folder, path))
  await symlink(root, join(folder, 'node_modules/fourfold'))
  await copyFile(join(root, `test/support/golden-rule-apps/${app}.ts`), join(folder, 'src/app.ts'))
  await writeFile(join(folder, 'requests.http'), script)
  return { folder, temporary }
}

interface Command {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly output: string; readonly errors: string }>
}

function check(t: TestContext, { folder, temporary }: Project, words: readonly string[], env: object = {}): Command {
  const command = ['-C', 'fourfold:source', join(root, 'src/cli/main.ts'), 'check', ...words]
  const child = spawn(process.execPath, command, {
    cwd: folder,
    env: { ...process.env, TMPDIR: temporary, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  return { child, ended: once(child, 'close').then(() => ({ code: child.exitCode, output, errors })) }
}

const twice = '### once\nGET /count\n\n### twice\nGET /count\n'

suite('the check command', { concurrency: 1 }, () => {
  test('a counter in memory ends it with 1, and is told with line, clone and likely cause', async (t) => {
    const project = await makeProject(t, 'counter', twice)
    const { code, output } = await check(t, project, ['requests.http', '--clones', '2', '--runs', '1']).ended
    assert.equal(code, 1)
    assert.equal(
      output,
      `requests.http:5  GET /count   (twice)
  body $.visits: expected 2, got 1
    by clone 2 (clone 1 answered this user before), when clones take turns
  likely: a number or list that each clone keeps for itself, in its memory

1 difference in 2 requests, 2 clones, 1 way to spread them. 0 files written. Not compared: 2 places that vary on one clone too.
One clone answered 200 (2 times).
`,
    )
    await nothingRuns(project.folder)
    assert.deepEqual(await readdir(project.temporary), [])
  })

  test('as JSON it is one document on standard output, whatever the app prints', async (t) => {
    const project = await makeProject(t, 'file-writer', 'POST /notes\n\nhello\n')
    const talking = `console.log('an app that talks')\n`
    await writeFile(join(project.folder, 'src/talk.ts'), `${talking}export { default } from './app.ts'\n`)
    const words = ['requests.http', 'src/talk.ts', '--json', '--clones', '2', '--runs', '1']
    const { code, output } = await check(t, project, words).ended
    assert.equal(code, 1)
    const report = JSON.parse(output) as Record<string, any>
    assert.deepEqual([report['ok'], report['requests'], report['differences']], [false, 1, []])
    assert.deepEqual(report['accesses'][0].resources, [join(project.folder, 'src/note.txt')])
    assert.equal(report['accesses'][0].by, `${join(project.folder, 'src/app.ts')}:13`)
    assert.deepEqual(report['accesses'][0].requests, [{ at: 'requests.http:1', request: 'POST /notes' }])
  })

  test('an app that keeps the rule ends it with 0', async (t) => {
    const project = await makeProject(t, 'counter', 'GET /count\n')
    const { code, output } = await check(t, project, ['requests.http', '--clones', '2', '--runs', '1']).ended
    assert.equal(code, 0, output)
    assert.match(output, /^No difference in 1 request, 2 clones/)
  })

  test('what cannot run ends it with 2 and says why, before anything is started', async (t) => {
    const project = await makeProject(t, 'counter', twice)
    await writeFile(join(project.folder, 'empty.http'), '# nothing\n')
    await writeFile(join(project.folder, 'visit.har'), 'no JSON')
    await writeFile(join(project.folder, 'elsewhere.http'), 'GET http://a.example/\n###\nGET http://b.example/\n')
    const database = { DATABASE_URL: 'postgres://app:secret@127.0.0.1:1/app' }
    const cases: readonly (readonly [words: string, message: RegExp, env?: object])[] = [
      ['none.http', /^\s*FF_CHECK_SCRIPT: none\.http: the script cannot be read: ENOENT/],
      ['empty.http', /^\s*FF_CHECK_SCRIPT: empty\.http: there is no request in it/],
      ['visit.har', /^\s*FF_CHECK_SCRIPT: visit\.har: this is not JSON/],
      ['requests.http src/none.ts', /^\s*FF_APP_INVALID: There is no file src\/none\.ts/],
      ['requests.http --clones 1', /^\s*FF_CONFIG_INVALID: --clones: expected 2 to 32, got 1/],
      [
        'requests.http',
        /^\s*FF_CHECK_EXTERNAL: .*store\.url names a server/,
        { FOURFOLD_STORE_URL: 'redis://127.0.0.1:1' },
      ],
      ['requests.http --nothing', /unknown option '--nothing'/],
      ['', /missing required argument 'requests'/],
    ]
    for (const [words, message, env] of cases) {
      const { code, output, errors } = await check(t, project, words.split(' ').filter(Boolean), env ?? database).ended
      assert.match(errors, message)
      assert.deepEqual([code, output], [2, ''], words)
    }
    assert.deepEqual(await readdir(project.temporary), [])
    const { code, errors } = await check(t, project, ['elsewhere.http'], {}).ended
    assert.equal(code, 2)
    assert.match(
      errors,
      /FF_CHECK_SCRIPT: elsewhere\.http:3: this asks http:\/\/b\.example, and the requests before it/,
    )
    assert.deepEqual(await readdir(project.temporary), [])
  })

  test('Ctrl-C stops everything that it started', async (t) => {
    const project = await makeProject(t, 'counter', twice)
    const { child, ended } = check(t, project, ['requests.http', '--clones', '2', '--runs', '20'])
    const runs = async (): Promise<boolean> =>
      (await readdir(project.temporary, { recursive: true })).some((name) => name.endsWith('/run-2'))
    await waitFor('the second run to begin', runs, 60_000)
    child.kill('SIGINT')
    const { code, output } = await ended
    assert.deepEqual([code, output], [130, ''])
    await nothingRuns(project.folder)
    assert.deepEqual(await readdir(project.temporary), [])
  })
})
