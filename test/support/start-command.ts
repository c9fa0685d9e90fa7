/** `fourfold start` as a user runs it, on Conduit or another app, for tests that stop and kill it. */

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { waitFor } from './wait-for.ts'

const root = join(import.meta.dirname, '../..')
const startsWithinMs = 60_000

/** The least of apps, for tests of what is around it: it starts in half of Conduit's time. */
export const notes = 'examples/notes/app.ts'
/** As few as are several, unless a test says otherwise. */
const notesEnv = { FOURFOLD_CLONES_MIN: '2' }

export interface Starting {
  readonly child: ChildProcess
  /** What it has said so far. */
  readonly output: () => string
}

export interface Started extends Starting {
  readonly url: string
}

export interface StartCommandOptions {
  /** Default: Conduit. */
  readonly app?: string
  readonly data: string
  /** Default: any free one. */
  readonly port?: number
  /** Default: false. */
  readonly seed?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** Default: everything on this host. */
  readonly role?: string
}

/** Runs the command, without waiting for anything. */
export function beginStart(t: TestContext, options: StartCommandOptions): Starting {
  const { app = 'examples/conduit/src/app.ts', data, port = 0, seed = false, env, role = 'all' } = options
  const words = ['start', app, '--data', data, '--port', String(port), '--role', role]
  const child = spawn(
    process.execPath,
    ['-C', 'fourfold:source', 'src/cli/main.ts', ...words, ...(seed ? [] : ['--no-seed'])],
    {
      cwd: root,
      env: { ...process.env, ...(app === notes ? notesEnv : {}), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  t.after(() => child.kill('SIGKILL'))
  return { child, output: () => text }
}

/** Runs the command until it prints its address. */
export async function startCommand(t: TestContext, options: StartCommandOptions): Promise<Started> {
  const starting = beginStart(t, options)
  const ready = await waitFor(
    'the address',
    () => {
      if (starting.child.exitCode !== null)
        throw new Error(`ended with ${starting.child.exitCode}:\n${starting.output()}`)
      return /(http:\/\/\S+)\s+ready/.exec(starting.output())
    },
    startsWithinMs,
  )
  return { ...starting, url: ready[1] ?? '' }
}

/** The living processes that name this directory on their command line, in their environment or as their place. */
export async function processesOf(data: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    const [command, place, environment] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => ''),
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    ])
    if (`${command}${place}${environment}`.includes(data)) found.push(`${pid} ${command.replaceAll('\0', ' ')}`)
  }
  return found
}

export async function nothingRuns(data: string): Promise<void> {
  await waitFor('every process to end', async () => (await processesOf(data)).length === 0)
}

/** Waits until no process is left, and finds no socket and no lock of one. */
export async function nothingLeft(data: string): Promise<void> {
  await nothingRuns(data)
  const sockets = (await readdir(data, { recursive: true })).filter((name) =>
    /\.sock$|\.s\.PGSQL|postmaster\.pid$|owner\.json$|\.owner$|\.guard$|system\.json/.test(name),
  )
  assert.deepEqual(sockets, [])
}
