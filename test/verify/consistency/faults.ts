/** What happens to the system while it is used. Each fault ends when its cause is gone; parts come back by themselves. */

import { childProcesses, processTitle, signalProcess, signalTree } from '../sessions/processes.ts'
import { pickOne } from './write-kinds.ts'
import { waitFor } from '../../support/wait-for.ts'

import type { ServerName } from '../sessions/servers.ts'
import type { System } from '../sessions/system.ts'
import type { Ground } from './servers.ts'

export interface Scene {
  readonly system: System
  readonly ground: Ground
  /** How long something stopped or cut off stays so. */
  readonly stoppedMs: number
}

export interface Fault {
  readonly name: string
  /** Whether it belongs to a quick run. */
  readonly quick?: boolean
  run(scene: Scene): Promise<void>
}

const anyReplica = (): ServerName => pickOne(['replica-1', 'replica-2'])

export const faults: readonly Fault[] = [
  {
    name: 'SIGKILL to the tracker',
    quick: true,
    run: killTracker,
  },
  {
    name: 'SIGSTOP to the tracker',
    run: stopTracker,
  },
  {
    name: 'SIGSTOP to the server process of the change stream',
    run: async ({ ground, stoppedMs }) => stopFor(await streamProcess(ground), stoppedMs),
  },
  {
    name: 'SIGTERM to the server process of the change stream',
    run: async ({ ground }) => signalProcess(await streamProcess(ground), 'SIGTERM'),
  },
  {
    name: 'SIGKILL to a clone',
    quick: true,
    run: ({ system }) => kill(pickOne(system.processes('clone'))),
  },
  {
    name: 'SIGSTOP to a clone',
    run: stopOneClone,
  },
  {
    name: 'SIGSTOP to a clone for longer than answers may be old',
    run: ({ system }) => stopFor(pickOne(system.processes('clone')), 3_500),
  },
  {
    name: 'SIGKILL to Redis, which begins empty',
    quick: true,
    async run({ ground: { redis } }) {
      await redis.kill()
      await redis.startAgain('nothing')
    },
  },
  {
    name: 'Redis loses its newest entries',
    async run({ ground: { redis }, stoppedMs }) {
      await redis.copy()
      await pause(stoppedMs)
      await redis.kill()
      await redis.startAgain('copy')
    },
  },
  {
    name: 'SIGSTOP to Redis',
    run: ({ ground, stoppedMs }) => stopFor(ground.redis.pid, stoppedMs),
  },
  {
    name: 'Redis cut off',
    run: (scene) => cutOff(scene, 'redis'),
  },
  {
    name: 'SIGKILL to a replica',
    async run({ ground: { servers } }) {
      const pid = servers.pid(anyReplica())
      signalTree(pid, 'SIGKILL')
      await untilGone([pid])
    },
  },
  {
    name: 'SIGSTOP to a replica',
    async run({ ground: { servers }, stoppedMs }) {
      const pid = servers.pid(anyReplica())
      signalTree(pid, 'SIGSTOP')
      await pause(stoppedMs)
      signalTree(pid, 'SIGCONT')
    },
  },
  {
    name: 'a replica cut off',
    run: (scene) => cutOff(scene, anyReplica()),
  },
  {
    name: 'replay of a replica held back',
    async run({ ground: { servers }, stoppedMs }) {
      const replica = anyReplica()
      await servers.delay(replica, stoppedMs * 2)
      await pause(stoppedMs * 2)
      await servers.delay(replica, 0)
    },
  },
  {
    name: 'the synchronous standby stalls',
    quick: true,
    run: stallStandby,
  },
  {
    name: 'the synchronous standby stalls, and SIGKILL to the tracker',
    run: (scene) => stallStandby(scene, () => replaceTracker(scene)),
  },
  {
    name: 'the primary cut off',
    run: (scene) => cutOff(scene, 'primary'),
  },
  {
    name: 'SIGKILL to a backend of the primary',
    async run({ ground: { servers } }) {
      // The server then ends all of them, to recover.
      const backends = backendsOf(servers.pid('primary'))
      signalProcess(pickOne(backends) ?? -1, 'SIGKILL')
      await untilGone(backends)
    },
  },
  {
    name: 'SIGSTOP to the primary',
    async run({ ground: { servers }, stoppedMs }) {
      const pid = servers.pid('primary')
      signalTree(pid, 'SIGSTOP')
      await pause(stoppedMs)
      signalTree(pid, 'SIGCONT')
    },
  },
  {
    name: 'SIGKILL to the primary',
    async run({ ground: { servers } }) {
      const pid = servers.pid('primary')
      signalTree(pid, 'SIGKILL')
      await untilGone([pid])
    },
  },
  {
    name: 'SIGKILL to the supervisor',
    async run({ system }) {
      await system.kill()
      await system.start()
    },
  },
]

export async function killTracker({ system }: Scene): Promise<void> {
  await kill(system.processes('tracker')[0])
}

/** What it is asked meanwhile it answers before it has heard of what others have shown by then. */
async function stopOneClone({ system, stoppedMs }: Scene): Promise<void> {
  await stopFor(pickOne(system.processes('clone')), stoppedMs)
}

/** What is committed meanwhile no clone hears of, while the servers show it. */
export async function stopTracker({ system, stoppedMs }: Scene): Promise<void> {
  await stopFor(system.processes('tracker')[0], stoppedMs)
}

/** Once many commits wait; until another one reads the stream, and for a while after. */
export async function replaceTracker(scene: Scene): Promise<void> {
  await pause(1_500)
  const before = await streamProcess(scene.ground)
  await killTracker(scene)
  const isThere = async (): Promise<boolean> => {
    const now = await streamProcess(scene.ground)
    return now !== -1 && now !== before
  }
  await waitFor('another tracker', isThere, 30_000)
  await pause(2_000)
}

/** Until requests are answered again, and for a while after. */
export async function killAllClones({ system }: Scene): Promise<void> {
  await Promise.all(system.processes('clone').map(kill))
  const answers = async (): Promise<boolean> => {
    const status = await fetch(system.url)
      .then((answer) => answer.status)
      .catch(() => 503)
    return status !== 503 && status !== 502
  }
  await waitFor('clones that answer', answers, 30_000)
  await pause(3_000)
}

/** Commits wait for a standby that does not answer: they are in the change stream, and nobody sees them. */
export async function stallStandby(
  { ground: { servers }, stoppedMs }: Scene,
  meanwhile?: () => Promise<void>,
): Promise<void> {
  await setSynchronous(servers, `'"replica-0"'`)
  try {
    for (let round = 0; round < 2; round += 1) {
      await pause(Math.random() * stoppedMs)
      const pid = servers.pid('replica-1')
      signalTree(pid, 'SIGSTOP')
      await pause(stoppedMs / 2)
      await meanwhile?.()
      await pause(stoppedMs * Math.random())
      signalTree(pid, 'SIGCONT')
    }
  } finally {
    await setSynchronous(servers, `''`)
  }
}

async function setSynchronous(servers: Ground['servers'], names: string): Promise<void> {
  await servers.with('primary', async (client) => {
    // Itself it waits for nobody.
    await client.query('set synchronous_commit = local')
    await client.query(`alter system set synchronous_standby_names = ${names}`)
    await client.query('select pg_reload_conf()')
  })
}

async function cutOff({ ground: { proxies }, stoppedMs }: Scene, name: keyof Ground['proxies']): Promise<void> {
  const how = pickOne(['silent', 'refused'] as const)
  proxies[name].cut(how)
  await pause(stoppedMs)
  proxies[name].restore()
}

async function streamProcess({ servers }: Ground): Promise<number> {
  return await servers.with('primary', async (client) => {
    const { rows } = await client.query(
      `select active_pid as pid from pg_replication_slots where slot_type = 'logical' and active`,
    )
    return Number(rows.at(-1)?.pid ?? -1)
  })
}

/** The processes that serve connections of the app. */
function backendsOf(primary: number): number[] {
  const pids = childProcesses(primary).map(({ pid }) => pid)
  return pids.filter((pid) => / fourfold app /.test(processTitle(pid)))
}

async function kill(pid: number | undefined): Promise<void> {
  if (pid === undefined) return
  signalProcess(pid, 'SIGKILL')
  await untilGone([pid])
}

/** Before that, whoever looks may still find everything as it was. */
async function untilGone(pids: readonly number[]): Promise<void> {
  await waitFor('killed processes to be gone', () => pids.every((pid) => processTitle(pid) === ''), 10_000)
}

async function stopFor(pid: number | undefined, ms: number): Promise<void> {
  if (pid === undefined) return
  signalProcess(pid, 'SIGSTOP')
  await pause(ms)
  signalProcess(pid, 'SIGCONT')
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
