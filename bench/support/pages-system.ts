/** A system with many pages, as an operator starts it, beside a Redis of its own: for what changes and numbers cost. */

import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

import pg from 'pg'
import { Agent, request } from 'undici'

import { ensureRedis } from '../../scripts/services.ts'
import { readSystemNote } from '../../src/app/system-file.ts'
import { findPort, System } from '../../test/verify/sessions/system.ts'

import type { RedisService } from '../../scripts/services.ts'

const app = fileURLToPath(new URL('../page-apps/many/app.ts', import.meta.url))

export interface PagesSystem {
  readonly system: System
  readonly data: string
  readonly app: string
  readonly outside: pg.Client
  /** The page's text and who answered. */
  get(id: number): Promise<{ readonly text: string; readonly fromBalancer: boolean }>
  /** Ends the system and starts it again; the servers beside it stay. Answers the seconds until it was ready. */
  startAgain(): Promise<number>
  stop(): Promise<void>
}

export async function startPagesSystem(directory: string, env: Record<string, string> = {}): Promise<PagesSystem> {
  const redis: RedisService = await ensureRedis({ args: ['--save', '', '--maxmemory', '0'] })
  const data = join(directory, 'data')
  const settings = { FOURFOLD_STORE_URL: redis.url, NODE_COMPILE_CACHE: join(directory, 'compiled'), ...env }
  const system = new System({ data, clones: 1, port: await findPort(), env: settings, app })
  const agent = new Agent({ connections: 16, headersTimeout: 20_000 })
  let outside: pg.Client | null = null
  const stop = async (): Promise<void> => {
    await outside?.end().catch(() => undefined)
    await agent.destroy()
    await system.stop()
    await redis.stop()
  }
  const connect = async (): Promise<void> => {
    const note = await readSystemNote(data)
    outside = new pg.Client(note!.connections.databases['main']!.primary as pg.ClientConfig)
    outside.on('error', () => undefined)
    await outside.connect()
  }
  try {
    await system.start()
    await connect()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    system,
    data,
    app,
    get outside() {
      return outside!
    },
    get: async (id) => {
      const answer = await request(`${system.url}/note/${id}`, { dispatcher: agent })
      const text = /data-text="([^"]*)"/.exec(await answer.body.text())?.[1] ?? ''
      return { text, fromBalancer: String(answer.headers['cache-status']).startsWith('fourfold-balancer') }
    },
    startAgain: async () => {
      await outside?.end()
      await system.stop()
      const begun = performance.now()
      await system.start()
      const seconds = (performance.now() - begun) / 1_000
      await connect()
      return seconds
    },
    stop,
  }
}
