/** `fourfold check`: the golden rule, proved by replaying requests. */

import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'

import { checkGoldenRule } from './check/golden-rule.ts'
import { requireOwnServers } from './check/ground.ts'
import { parseHar } from './check/har.ts'
import { parseHttpFile } from './check/http-file.ts'
import { readIgnored } from './check/ignored.ts'
import { describeFindings } from './check/report.ts'
import { toJson } from './check/report-json.ts'
import { scriptError, type Script } from './check/script.ts'
import { reportFailure } from './report-failure.ts'
import { inspectConfig } from '../app/config.ts'
import { loadApp } from '../app/load-app.ts'
import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { stopOnSignals } from '../core/lifecycle.ts'
import { createLogger, type Logger } from '../core/log.ts'

export interface CheckCommandOptions {
  readonly clones: number
  readonly runs: number
  readonly ignore: readonly string[]
  readonly var: readonly string[]
  readonly writes?: 'refuse' | 'report'
  readonly timeout: string
  readonly seed: boolean
  readonly json?: boolean
  readonly embedded?: boolean
  readonly external?: boolean
}

/** Ends with 0 where nothing differs, 1 where something does, 2 where the check could not run, 130 where it was stopped. */
export async function check(requests: string, file: string, options: CheckCommandOptions): Promise<void> {
  const log = createLogger({ level: 'warn', name: 'fourfold', output: 2 })
  const calledOff = new AbortController()
  let running: Promise<void> = Promise.resolve()
  const forget = stopOnSignals({
    log,
    stop: async () => {
      calledOff.abort()
      await running
    },
    exit: (code) => process.exit(code === 0 ? interrupted : code),
  })
  running = runCheck(requests, file, options, log, calledOff.signal).catch((error: unknown) => {
    if (calledOff.signal.aborted) return
    reportFailure(error)
    process.exitCode = couldNotRun
  })
  await running
  if (!calledOff.signal.aborted) forget()
}

const interrupted = 130
const couldNotRun = 2

async function runCheck(
  requests: string,
  file: string,
  options: CheckCommandOptions,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const begun = performance.now()
  const print = reserveOutput()
  const { clones, runs: ways, external = false } = options
  requireSense(options)
  const script = await readScript(requests, options)
  const { ignored, ignoredWrites } = readIgnored(options.ignore)
  const app = await loadApp(file)
  const { config, warnings } = inspectConfig(app.definition, process.env)
  for (const warning of warnings) log.warn({}, warning)
  if (!external && options.embedded !== true) requireOwnServers(config)
  const writes = options.writes ?? config.clones.writes
  const findings = await checkGoldenRule({
    app,
    appFile: resolve(file),
    config,
    script,
    clones,
    ways,
    external,
    seed: options.seed,
    writes,
    timeoutMs: parseDuration(options.timeout, '--timeout'),
    ignored,
    ignoredWrites,
    log,
    signal,
    onStep: showStep,
  })
  signal.throwIfAborted()
  showStep('')
  const extent = { requests: script.requests.length, clones, ways, refused: writes === 'refuse', here: process.cwd() }
  const tookMs = Math.round(performance.now() - begun)
  print(options.json === true ? toJson(findings, { ...extent, tookMs }) : describeFindings(findings, extent))
  if (findings.differences.length + findings.accesses.length > 0) process.exitCode = 1
}

/** Standard output is the report's alone; what the app's own file prints when it is read goes to standard error. */
function reserveOutput(): (report: string) => void {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  return (report) => {
    process.stdout.write = write
    write(`${report}\n`)
  }
}

function requireSense({ clones, runs, embedded, external }: CheckCommandOptions): void {
  const refuse = (message: string): never => {
    throw new FourfoldError('FF_CONFIG_INVALID', message)
  }
  if (clones < 2 || clones > 32)
    refuse(`--clones: expected 2 to 32, got ${clones}: one clone is what they are compared with`)
  if (runs < 1 || runs > 100) refuse(`--runs: expected 1 to 100, got ${runs}`)
  if (embedded === true && external === true) refuse('--embedded and --external exclude each other')
}

async function readScript(path: string, options: CheckCommandOptions): Promise<Script> {
  const file = basename(path)
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    throw scriptError(path, `the script cannot be read: ${(error as Error).message}`, error)
  })
  if (file.endsWith('.har')) return parseHar(source, file)
  return parseHttpFile(source, {
    file,
    env: process.env,
    variables: readVariables(options.var),
    read: (name) => readFileSync(resolve(dirname(path), name)),
  })
}

function readVariables(words: readonly string[]): Record<string, string> {
  const pairs = words.map((word) => {
    const match = /^([\w.-]+)=(.*)$/s.exec(word)
    if (match === null) throw new FourfoldError('FF_CONFIG_INVALID', `--var: expected name=value, got "${word}"`)
    return [match[1]!, match[2]!] as const
  })
  return Object.fromEntries(pairs)
}

/** What is being done, on a terminal: it takes a while. */
function showStep(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[2K${what === '' ? '' : `  ${what}`}`)
}
