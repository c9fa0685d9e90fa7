/**
 * `npm test`: runs the tests with node:test. `npm test -- unit` runs one folder, `npm test -- test/unit/x.test.ts`
 * some files. Fails also when no test ran, and when a test left a process behind.
 */

import { chmodSync, existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** In the order in which they run: what is quick and basic first. */
const folders = ['unit', 'meta', 'model', 'contract', 'integration', 'e2e']
/** For one test and for one file. Nothing here may take longer. */
const timeoutMs = 240_000
/**
 * As many as the cores of a small machine: most tests keep one busy. Those of whole systems keep all of them busy for a
 * moment and wait the next, so one of these at a time runs beside the others, and no core has nothing to do meanwhile.
 */
const concurrency = 2
const systems = /^test\/(?:e2e\/|integration\/(?:hosts|rollout))/
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

interface Lane {
  readonly files: readonly string[]
  readonly concurrency: number
}

interface Outcome {
  readonly tests: number
  readonly failed: boolean
}

/** What runs beside each other. Where others keep the machine busy as it is, no core has nothing to do. */
function lanesOf(files: readonly string[]): readonly Lane[] {
  const ofSystems = files.filter((file) => systems.test(relative(process.cwd(), file)))
  const others = files.filter((file) => !ofSystems.includes(file))
  const isBusy = (loadavg()[0] ?? 0) > availableParallelism()
  if (isBusy || ofSystems.length === 0 || others.length === 0) return [{ files, concurrency }]
  return [
    { files: others, concurrency },
    { files: ofSystems, concurrency: 1 },
  ]
}

/** Runs the files and answers how many tests there were and whether one failed. */
async function runFiles(files: readonly string[]): Promise<Outcome> {
  const durations = new Map<string, number>()
  const outcomes = await Promise.all(lanesOf(files).map((lane) => runLane(lane, durations)))
  printSlowest(durations)
  return {
    tests: outcomes.reduce((sum, { tests }) => sum + tests, 0),
    failed: outcomes.some(({ failed }) => failed),
  }
}

async function runLane(lane: Lane, durations: Map<string, number>): Promise<Outcome> {
  let tests = 0
  let failed = false
  const events = run({
    files: [...lane.files],
    concurrency: lane.concurrency,
    timeout: timeoutMs,
    execArgv: [...execArgv],
  })
  events.on('test:fail', ({ todo }) => {
    if (todo === undefined) failed = true
  })
  events.on('test:summary', ({ file, counts, success, duration_ms }) => {
    if (file !== undefined) return void durations.set(file, duration_ms)
    tests = counts.tests
    if (!success) failed = true
  })
  for await (const text of reports(events)) process.stdout.write(text)
  return { tests, failed }
}

/** What is to be said of each test of a file with all that is in it, at once: another lane may be in between. */
async function* reports(events: ReturnType<typeof run>): AsyncGenerator<string> {
  let text = ''
  for await (const chunk of events.compose(new spec())) {
    text += String(chunk)
    // What is inside is indented; the line of the test itself comes last.
    const lastLine = text.slice(text.lastIndexOf('\n', text.length - 2) + 1)
    if (/^\s/.test(lastLine)) continue
    yield text
    text = ''
  }
  yield text
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
