/**
 * What a killed owner leaves behind: servers without a parent, backends without a server, and stale lock files.
 *
 * Only the directory's owner may call this. A process is known to be one of ours by its working directory, which
 * PostgreSQL sets to the data directory for every process of a server; a number in a file could meanwhile be
 * anybody's.
 */

import { readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { FourfoldError } from '../../../core/errors.ts'

/**
 * Stops whatever still runs on a data directory, and clears its lock files: the server would take them for another
 * one's as long as their number belongs to any process, a dead one not yet reaped included. Loses nothing: the log is
 * on disc.
 *
 * @param socket the path of the server's Unix socket
 */
export async function clearLeftovers(data: string, socket: string): Promise<void> {
  await endProcessesIn(data)
  const locks = [join(data, 'postmaster.pid'), `${socket}.lock`, socket]
  await Promise.all(locks.map((path) => rm(path, { force: true })))
}

/** Ends whatever works in a directory: a server cleanly, anything else soon. */
export async function endProcessesIn(data: string): Promise<void> {
  if ((await processesIn(data)).length > 0) await stopAll(data)
}

async function stopAll(data: string): Promise<void> {
  const server = await readServerPid(data)
  const pids = await processesIn(data)
  // A stopped process (SIGSTOP) would not hear anything else.
  for (const pid of pids) signal(pid, 'SIGCONT')
  if (server !== null && pids.includes(server)) signal(server, 'SIGINT')
  // Without their server, backends notice within moments that they are alone.
  if (await areGone(data, server !== null && pids.includes(server) ? 8_000 : 500)) return
  for (const pid of await processesIn(data)) signal(pid, 'SIGKILL')
  if (await areGone(data, 5_000)) return
  throw new FourfoldError(
    'FF_ENGINE_START',
    `Processes ${(await processesIn(data)).join(', ')} still use ${data} and cannot be stopped`,
  )
}

async function areGone(data: string, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs
  while ((await processesIn(data)).length > 0) {
    if (performance.now() > end) return false
    await delay(15)
  }
  return true
}

/** The processes whose working directory is this data directory. A zombie has none, and is rightly left out. */
export async function processesIn(data: string): Promise<number[]> {
  const names = await readdir('/proc').catch(() => null)
  if (names === null) return processesByFile(data)
  const numbers = names.filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    numbers.map(async (name) =>
      (await readlink(`/proc/${name}/cwd`).catch(() => null)) === data ? Number(name) : null,
    ),
  )
  return found.filter((pid) => pid !== null)
}

/** Systems without /proc: the server's own lock file is all there is. */
async function processesByFile(data: string): Promise<number[]> {
  const pid = await readServerPid(data)
  return pid !== null && signal(pid, 0) ? [pid] : []
}

async function readServerPid(data: string): Promise<number | null> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return pid > 0 ? pid : null
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
