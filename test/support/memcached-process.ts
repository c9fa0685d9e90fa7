/** A memcached of its own for a test, which may be killed and paused. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'

import { ensureMemcached } from '../../scripts/services.ts'
import { connectTier } from '../../src/store/connect-tier.ts'
import type { TierServerUnderTest } from '../../src/testing/index.ts'

export interface MemcachedProcess extends TierServerUnderTest {
  readonly url: string
  kill(): Promise<void>
  start(): Promise<void>
}

export async function startMemcachedProcess(args: readonly string[] = []): Promise<MemcachedProcess> {
  let service = await ensureMemcached({ args })
  const { url, port } = service
  const start = async (): Promise<void> => {
    service = await ensureMemcached({ args, port })
  }
  return {
    url,
    connect: ({ deadlineMs }) => connectTier({ url, deadlineMs }),
    kill: () => service.stop(),
    start,
    restart: async () => {
      await service.stop()
      await start()
    },
    pause: () => stopThreads(service.child.pid!),
    resume: () => void service.child.kill('SIGCONT'),
    stop: () => service.stop(),
  }
}

/** Until the last of its threads stands still: another may answer for a moment after the signal. */
function stopThreads(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  const tasks = `/proc/${pid}/task`
  const until = performance.now() + 2000
  while (existsSync(tasks) && performance.now() < until && !readdirSync(tasks).every((task) => isStopped(tasks, task)));
}

function isStopped(tasks: string, task: string): boolean {
  const stat = readFileSync(`${tasks}/${task}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
}
