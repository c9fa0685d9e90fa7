/** What a clone does beside serving when balancers of other hosts send it requests: announce itself, and keep the gate. */

import { setTimeout as delay } from 'node:timers/promises'

import { listenApp } from './app-server.ts'
import { announceClone } from '../clones/hosts/announcement.ts'
import { guardServer } from '../clones/hosts/gate.ts'
import { portsToTry, type PortRange } from '../clones/hosts/listen.ts'

import type { App } from './define-app.ts'
import type { Fourfold } from './fourfold.ts'
import type { CloneListener } from '../clones/child.ts'
import type { Announcement } from '../clones/hosts/announcement.ts'
import type { Logger } from '../core/log.ts'
import type { Server } from 'node:http'

/** Plain data, handed to the clone's process. */
export interface HostsCloneSettings {
  /** The host's name in the registry. */
  readonly host: string
  readonly listenHost: string
  readonly advertise: string
  readonly ports: PortRange | null
  readonly keys: readonly string[]
  readonly graceMs: number
}

interface AnnouncedOptions {
  readonly app: App
  readonly ff: Fourfold
  readonly name: string
  readonly buildId: string
  readonly settings: HostsCloneSettings
  readonly log: Logger
}

/**
 * For balancers that could not be told (they, or this clone, do not reach the store): while this clone still listens it
 * refuses what they send, and they send it elsewhere.
 */
const refuseMs = 300

/** Listens and announces the clone; closing drains it at all balancers first. @throws what {@link listenApp} does */
export async function listenAnnounced(options: AnnouncedOptions): Promise<CloneListener> {
  const { app, ff, name, buildId, settings, log } = options
  const { listenHost, advertise, ports, keys, host, graceMs } = settings
  let announcement: Announcement | null = null
  const guard = (server: Server): void =>
    guardServer(server, {
      keys,
      id: () => announcement?.id ?? null,
      isOwn: (headers) => ff.pages.bakes.of(headers) !== null,
      pauses: {
        check: () => announcement?.pauses.check(),
        recently: () => announcement?.pauses.recently() === true,
      },
    })
  const listener = await listenApp(app, ff, { host: listenHost, ports: portsToTry(ports), guard })
  const { port } = listener.address as { port: number }
  const announced = announceClone({
    store: ff.store,
    name,
    buildId,
    host,
    graceMs,
    log,
    address: { host: advertise, port },
  })
  announcement = announced
  await announced.begin()
  return {
    address: { host: advertise, port },
    close: async () => {
      if (!(await announced.leave())) {
        log.warn({}, 'not every balancer has said that it is done with this clone: requests are refused from now on')
        await delay(refuseMs)
      }
      await announced.stop()
      await listener.close()
    },
  }
}
