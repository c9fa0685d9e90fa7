/** Files in PostgreSQL, against a real one. */

import { readFileSync, readdirSync } from 'node:fs'
import pg from 'pg'
import { createSqlDriver, type RunStatement } from '../../src/files/sql/sql-driver.ts'
import { filesContract, type FilesServerUnderTest } from '../../src/testing/index.ts'
import { freeze } from '../support/freeze.ts'
import { startTestCluster, type Cleanup } from '../support/postgres.ts'

filesContract({ name: 'sql', start: startDatabase })

async function startDatabase(): Promise<FilesServerUnderTest> {
  let end = async (): Promise<void> => undefined
  const cleanup: Cleanup = { after: (work: () => Promise<void>) => void (end = work) }
  const cluster = await startTestCluster(cleanup, { replicas: 0 })
  const pools: pg.Pool[] = []
  const openPool = (): pg.Pool => {
    const pool = new pg.Pool({ ...(cluster.primary as pg.PoolConfig), max: 4 })
    pool.on('error', () => undefined)
    pools.push(pool)
    return pool
  }
  const aside = openPool()
  let resume = (): void => undefined
  return {
    connect: async () => {
      const pool = openPool()
      const run: RunStatement = (text, values) => pool.query(text, values)
      return createSqlDriver({ run })
    },
    countContents: async () => {
      const { rows } = await aside.query('select count(*)::integer as contents from fourfold.file_contents')
      return rows[0].contents as number
    },
    pause: () => {
      resume = freeze(cluster.processes().flatMap(({ pid }) => [pid, ...childrenOf(pid)]))
    },
    resume: () => resume(),
    stop: async () => {
      await Promise.all(pools.map((pool) => pool.end()))
      await end()
    },
  }
}

/** A server's helpers and connections are processes of their own. */
function childrenOf(parent: number): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => parentOf(pid) === parent)
}

function parentOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return 0
  }
}
