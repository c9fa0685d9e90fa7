/** The order in which a cluster comes up: primary and usable standbys together, then standbys that have to be made. */

import { setTimeout as delay } from 'node:timers/promises'

import { sqlState } from '../client.ts'
import { onConnection, socketAddress } from './connection.ts'
import * as data from './data.ts'
import { type Foundation, makeStandby } from './foundation.ts'
import { listData } from './place.ts'
import type { Server } from './server.ts'
import { portOf, primaryName } from './settings.ts'

/** Starts everything that was defined; resolves when the app's database answers on every server. */
export async function startServers(base: Foundation, primary: Server, standbys: readonly Server[]): Promise<void> {
  // Standbys with data of their own start together with the primary and connect when it is there.
  const usable = await Promise.all(standbys.map((server) => data.isStandbyData(base.place.data(server.name))))
  const early = standbys.filter((_, index) => usable[index])
  const late = standbys.filter((_, index) => !usable[index])
  const [started] = await Promise.allSettled([
    primary.start().then(() => makeReady(base, standbys)),
    ...early.map((server) => startStandby(server, base)),
  ])
  if (started.status === 'rejected') throw started.reason
  await Promise.all(
    standbys.map(async (server) => {
      if (late.includes(server) || server.pid === null) await remake(server, base)
      await untilReplayed(server, base).catch(async () => {
        // It runs, but its history went another way.
        await remake(server, base)
        await untilReplayed(server, base)
      })
    }),
  )
}

async function startStandby(server: Server, base: Foundation): Promise<void> {
  await data.clearAlteredSettings(base.place.data(server.name), base.account)
  await server.start()
}

async function remake(server: Server, base: Foundation): Promise<void> {
  await server.stop()
  await makeStandby(server.name, base)
  await server.start()
}

/** On the primary: the slots, also those to take away, and the app's database. */
async function makeReady(base: Foundation, standbys: readonly Server[]): Promise<void> {
  const names = standbys.map((server) => server.name)
  const extra = (await listData(base.place)).filter((name) => name !== primaryName && !names.includes(name))
  for (const name of names) await data.ensureSlot(name, base.upkeep, false)
  for (const name of extra) {
    await data.dropSlot(name, base.upkeep)
    await data.removeData(name, base)
  }
  await onConnection(base.upkeep, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [base.options.database])
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(base.options.database)}`)
  })
}

const replayDeadlineMs = 15_000

/** A standby is of use when it has replayed the making of the database. */
async function untilReplayed({ name }: Server, base: Foundation): Promise<void> {
  const address = socketAddress(base.place.sockets, portOf(name), base.options.database)
  const end = performance.now() + replayDeadlineMs
  for (;;) {
    try {
      await onConnection(address, (client) => client.query('select 1'))
      return
    } catch (error) {
      if (performance.now() > end || sqlState(error) === null) throw error
      await delay(15)
    }
  }
}
