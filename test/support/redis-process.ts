/** A Redis or Valkey of its own for a test, which may be killed and paused. */

import { createClient } from 'redis'

import { ensureRedis, type RedisServiceOptions } from '../../scripts/services.ts'
import { connectStore } from '../../src/store/connect.ts'
import { until, type StoreServerUnderTest } from '../../src/testing/index.ts'

export interface RedisProcess extends StoreServerUnderTest {
  readonly url: string
  kill(): Promise<void>
  start(): Promise<void>
}

export async function startRedisProcess(options: RedisServiceOptions = {}): Promise<RedisProcess> {
  let service = await ensureRedis(options)
  const { url, port } = service
  const start = async (): Promise<void> => {
    service = await ensureRedis({ ...options, port })
  }
  return {
    url,
    connect: ({ deadlineMs }) => connectStore({ url, deadlineMs }),
    kill: () => service.stop(),
    start,
    restart: async () => {
      await service.stop()
      await start()
    },
    pause: () => void service.child.kill('SIGSTOP'),
    resume: () => void service.child.kill('SIGCONT'),
    stop: () => service.stop(),
  }
}

/** One node with all slots: it refuses scripts and commands that reach over several slots as any cluster does. */
export async function startRedisCluster(): Promise<RedisProcess> {
  const server = await startRedisProcess({ args: ['--cluster-enabled', 'yes'] })
  await assignSlots(server.url)
  return {
    ...server,
    start: async () => {
      await server.start()
      await assignSlots(server.url)
    },
    restart: async () => {
      await server.restart()
      await assignSlots(server.url)
    },
  }
}

async function assignSlots(url: string): Promise<void> {
  const client = createClient({ url })
  await client.connect()
  await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383'])
  await until('the cluster serves', async () =>
    (await client.sendCommand<string>(['CLUSTER', 'INFO'])).includes('cluster_state:ok'),
  )
  client.destroy()
}
