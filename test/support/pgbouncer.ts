/** PgBouncer in front of a server, giving a server connection to a client for one transaction at a time. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { findProgram } from '../../scripts/services.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { findAccount } from '../../src/engines/postgres/embedded/account.ts'
import { connect, endAfter, makeDirectory, until, type Cleanup } from './postgres.ts'

export function findPgBouncer(): Promise<string | null> {
  return findProgram('pgbouncer', ['pgbouncer'])
}

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
  const child = spawn(program, [config], { stdio: 'ignore', ...account })
  endAfter(t, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const address = { ...server, host: directory, port }
  const probes: { after(end: () => Promise<void>): void } = { after: (end) => void ends.push(end) }
  const ends: (() => Promise<void>)[] = []
  await until('pgbouncer answers', async () => (await connect(probes, address)).query('select 1'))
  for (const end of ends) await end()
  return address
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
    `unix_socket_dir = ${directory}`,
    `listen_port = ${port}`,
    `logfile = ${join(directory, 'log')}`,
    'server_login_retry = 0.1',
    '',
  ].join('\n')
}
