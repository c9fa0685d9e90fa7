/** PgBouncer in front of a server, giving a server connection to a client for one transaction at a time. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { findProgram } from '../../scripts/services.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { findAccount } from '../../src/engines/postgres/embedded/account.ts'
import { connect, endAfter, makeDirectory, until, type Cleanup } from './postgres.ts'

export function findPgBouncer(): Promise<string | null> {
  return findProgram('pgbouncer', ['pgbouncer'])
}

const mostRestarts = 3
/**
 * How PgBouncer 1.18 ends when a server goes down that is being sent a request to cancel (pgbouncer #822; mended by 1.21).
 * Whatever else ends it, one of its clients did.
 */
const excused = /server_proto: server in bad state|in function disconnect_server\(\): bad server state/

/** Starts one before a server, with fewer server connections than clients will have. Answers its address. */
export async function startPgBouncer(t: Cleanup, server: PostgresAddress): Promise<PostgresAddress> {
  const program = await findPgBouncer()
  if (program === null) throw new Error('No pgbouncer: "apt-get install pgbouncer"')
  const directory = await makeDirectory(t, 'ff-bouncer-')
  const account = await findAccount()
  if (account !== null) await chown(directory, account.uid, account.gid)
  const port = 6432
  const config = join(directory, 'pgbouncer.ini')
  await writeFile(config, settings(server, directory, port))
  await chmod(config, 0o644)
  const log = join(directory, 'log')
  const stop = keepRunning(() => spawn(program, [config], { stdio: 'ignore', ...account }))
  endAfter(t, async () => {
    const ends = await stop()
    const said = await readFile(log, 'utf8').catch(String)
    const fatal = said.split('\n').filter((line) => line.includes('] FATAL '))
    const isExcused = ends.every((end) => end === 'code 1') && fatal.every((line) => excused.test(line))
    if (isExcused && ends.length <= mostRestarts) return
    throw new Error(`PgBouncer ended by itself (${ends.join(', ')}). Its last words:\n${said.slice(-2000)}`)
  })
  const address = { ...server, host: directory, port }
  const probes: { after(end: () => Promise<void>): void } = { after: (end) => void ends.push(end) }
  const ends: (() => Promise<void>)[] = []
  await until('pgbouncer answers', async () => (await connect(probes, address)).query('select 1'))
  for (const end of ends) await end()
  return address
}

/** Starts it again when it ends, as a service is, a few times. Answers how to end it, which tells of the ends before. */
function keepRunning(start: () => ChildProcess): () => Promise<readonly string[]> {
  const ends: string[] = []
  let wanted = true
  const launch = (): ChildProcess => {
    const child = start()
    child.once('exit', (code, signal) => {
      if (!wanted) return
      ends.push(signal ?? `code ${code}`)
      if (ends.length <= mostRestarts) running = launch()
    })
    return child
  }
  let running = launch()
  return async () => {
    wanted = false
    if (running.exitCode === null && running.signalCode === null) {
      running.kill('SIGKILL')
      await once(running, 'exit')
    }
    return ends
  }
}

function settings(server: PostgresAddress, directory: string, port: number): string {
  const where = `host=${server.host} port=${server.port} user=${server.user} dbname=${server.database}`
  return [
    '[databases]',
    `${server.database} = ${where}`,
    '[pgbouncer]',
    'pool_mode = transaction',
    'default_pool_size = 3',
    'auth_type = any',
    'listen_addr =',
    'ignore_startup_parameters = statement_timeout',
    `unix_socket_dir = ${directory}`,
    `listen_port = ${port}`,
    `logfile = ${join(directory, 'log')}`,
    'server_login_retry = 0.1',
    '',
  ].join('\n')
}
