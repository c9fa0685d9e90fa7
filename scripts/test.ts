/**
 * `npm test`: runs the tests with node:test. `npm test -- unit` runs one folder, `npm test -- test/unit/x.test.ts`
 * some files. Fails also when no test ran, and when a test left a process behind.
 */

import { chmodSync, existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** In the order in which they run: what is quick and basic first. */
const folders = ['unit', 'meta', 'model', 'contract', 'integration', 'e2e']
/** For one test and for one file. Nothing here may take longer. */
const timeoutMs = 240_000
/** As many as the cores of a small machine: most tests keep one busy. */
const concurrency = 2
/** How many of the files that took longest are named at the end. */
const slowestCount = 12
/** From source, and with a guard against files that never end. */
const execArgv = ['-C', 'fourfold:source', '--import', new URL('../test/support/leak-guard.ts', import.meta.url).href]
/** Every process that a test starts inherits this, so that those left behind can be found. */
const markName = 'FF_TEST_RUN'

function listFiles(args: readonly string[]): readonly string[] {
  if (args.length === 0) return folders.flatMap(filesOf)
  return args.flatMap((arg) => (folders.includes(arg) ? filesOf(arg) : globSync(arg)))
}

function filesOf(folder: string): readonly string[] {
  return globSync(`test/${folder}/**/*.test.ts`).toSorted()
}

/**
 * Lets all processes of the run share what they compile: the tests start hundreds, and stripping and compiling the
 * sources is most of what the start of one costs.
 */
function shareCompiledCode(): void {
  const folder = mkdtempSync(join(tmpdir(), 'fourfold-compiled-'))
  process.env['NODE_COMPILE_CACHE'] = folder
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
}

/** Lets them share the empty database cluster, too, which costs more to make than to start. Its servers' user enters. */
function shareEmptyClusters(): void {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fourfold-empty-'))
  chmodSync(folder, 0o755)
  process.env['PG_EMPTY_CLUSTERS'] = folder
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
}

/** The processes, other than this one, that carry our mark in their environment. Linux only; elsewhere none. */
function findLeftovers(mark: string): readonly { readonly pid: number; readonly command: string }[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'utf8').includes(`${markName}=${mark}`)) return []
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return command === '' ? [] : [{ pid: Number(name), command }]
      } catch {
        // It ended while we looked, or it belongs to somebody else.
        return []
      }
    })
}

function printSlowest(durations: ReadonlyMap<string, number>): void {
  if (durations.size <= 1) return
  const slowest = [...durations].toSorted(([, a], [, b]) => b - a).slice(0, slowestCount)
  console.log('\nThe files that took longest:')
  for (const [file, durationMs] of slowest)
    console.log(`${(durationMs / 1000).toFixed(1).padStart(7)} s  ${relative(process.cwd(), file)}`)
}

/** Runs the files and answers how many tests there were and how many failed. */
async function runFiles(files: readonly string[]): Promise<{ readonly tests: number; readonly failed: boolean }> {
  let tests = 0
  let failed = false
  const durations = new Map<string, number>()
  const events = run({ files: [...files], concurrency, timeout: timeoutMs, execArgv: [...execArgv] })
  events.on('test:fail', ({ todo }) => {
    if (todo === undefined) failed = true
  })
  events.on('test:summary', ({ file, counts, success, duration_ms }) => {
    if (file !== undefined) return void durations.set(file, duration_ms)
    tests = counts.tests
    if (!success) failed = true
  })
  for await (const chunk of events.compose(new spec())) process.stdout.write(chunk as string)
  printSlowest(durations)
  return { tests, failed }
}

/** Conduit's tests make hundreds of accounts: at full cost, their passwords were a tenth of the whole run. */
process.env['CONDUIT_PASSWORD_COST'] ??= '4'
const mark = `${process.pid}-${Date.now()}`
process.env[markName] = mark
shareCompiledCode()
shareEmptyClusters()
const files = listFiles(process.argv.slice(2))
const { tests, failed } = files.length === 0 ? { tests: 0, failed: true } : await runFiles(files)
if (tests === 0) console.error('No test ran.')
const leftovers = findLeftovers(mark)
for (const { pid, command } of leftovers) {
  console.error(`A test left process ${pid} behind; ending it: ${command.slice(0, 200)}`)
  process.kill(pid, 'SIGKILL')
}
process.exitCode = failed || tests === 0 || leftovers.length > 0 ? 1 : 0
