/** A server of its own for the checks, with an empty database for each. */

import type pg from 'pg'

import { type Cleanup, connect, startTestCluster } from '../../support/postgres.ts'

export interface Ground {
  /** A connection to a database that nobody has used. Its statements have a deadline. */
  newDatabase(): Promise<pg.Client>
}

export async function openGround(t: Cleanup): Promise<Ground> {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const first = await connect(t, cluster.primary)
  let databases = 0
  return {
    async newDatabase() {
      const database = `ground_${(databases += 1)}`
      await first.query(`create database ${database}`)
      return await connect(t, { ...cluster.primary, database })
    },
  }
}
