/** One clone for the tests of sessions: a process with its own connection to the store. Tells its address by IPC. */

import { silentLogger } from '../../src/core/log.ts'
import { connectStore } from '../../src/store/connect.ts'
import { plantHost, startFastify } from './http-app.ts'

const store = await connectStore({
  url: process.env['STORE_URL'] ?? '',
  deadlineMs: Number(process.env['STORE_DEADLINE_MS']),
  log: silentLogger,
})
const { ff } = plantHost(store)

const app = await startFastify(ff, {
  '/plain': async () => ({ plain: true }),
  '/login': async ({ session }) => {
    await session.regenerate()
    session.set('user', 7)
  },
  '/set': async ({ session, url }) => session.set(new URL(url, 'http://x').searchParams.get('key') ?? '', 1),
  '/set-own': async ({ session, url }) => {
    const user = await session.get('user')
    if (user === undefined) return { user: null }
    session.set(new URL(url, 'http://x').searchParams.get('key') ?? '', 1)
    return { user }
  },
  '/count': async ({ session }) => ({ count: await session.update<number>('count', (count = 0) => count + 1) }),
  '/logout': async ({ session }) => session.destroy(),
  '/user': async ({ session }) => ({ user: (await session.get('user')) ?? null }),
})

process.on('disconnect', () => process.exit(0))
process.send?.(app.url)
