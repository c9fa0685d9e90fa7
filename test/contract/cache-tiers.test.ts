import { createClient } from 'redis'

import { findMemcached, findRedis } from '../../scripts/services.ts'
import { connectTier } from '../../src/store/connect-tier.ts'
import { createRedisTier } from '../../src/store/redis/redis-tier.ts'
import { tierContract, type TierServerUnderTest } from '../../src/testing/index.ts'
import { startMemcachedProcess } from '../support/memcached-process.ts'
import { startRedisCluster, startRedisProcess } from '../support/redis-process.ts'
import { startStoreProcess } from '../support/store-process.ts'

const noRedis = (await findRedis()) === null ? 'no Redis server on this machine' : false
const noMemcached = (await findMemcached()) === null ? 'no memcached on this machine' : false

tierContract({ name: 'memory', start: startMemory })
tierContract({ name: 'redis', start: () => startRedis(), skip: noRedis })
tierContract({ name: 'redis, as a cluster of one', start: () => startRedis(startRedisCluster), skip: noRedis })
tierContract({ name: 'redis, beside a client of the user’s', start: startBeside, skip: noRedis })
tierContract({ name: 'memcached', start: () => startMemcachedProcess(), skip: noMemcached })
tierContract({
  name: 'memcached with larger items',
  start: () => startMemcachedProcess(['-I', '8m']),
  skip: noMemcached,
})

async function startMemory(): Promise<TierServerUnderTest> {
  const server = await startStoreProcess()
  const url = `unix:${server.settings.socketPath}`
  return withTier(server, ({ deadlineMs }) => connectTier({ url, deadlineMs }))
}

async function startRedis(start = () => startRedisProcess()): Promise<TierServerUnderTest> {
  const server = await start()
  return withTier(server, ({ deadlineMs }) => connectTier({ url: server.url, deadlineMs }))
}

/** With a client that queues and reconnects by its own ideas, and is never used itself. */
async function startBeside(): Promise<TierServerUnderTest> {
  const server = await startRedisProcess()
  const client = createClient({ url: server.url })
  return withTier(server, async ({ deadlineMs }) => createRedisTier({ client, deadlineMs }))
}

function withTier(
  { restart, pause, resume, stop }: Omit<TierServerUnderTest, 'connect'>,
  connect: TierServerUnderTest['connect'],
): TierServerUnderTest {
  return { connect, restart, pause, resume, stop }
}
