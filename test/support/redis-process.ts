/** A Redis or Valkey of its own for a test, which may be killed and paused. */

import { ensureRedis, type RedisServiceOptions } from '../../scripts/services.ts'
import { connectStore } from '../../src/store/connect.ts'
import type { StoreServerUnderTest } from '../../src/testing/index.ts'

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
