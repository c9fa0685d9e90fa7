/**
 * Conduit's pages in a real browser: through the balancer, on three clones and two replicas of which one is late. What
 * one reader is to see of another's writes is looked at once the replicas have it: more is not promised at `session`.
 */

import { after, before } from 'node:test'

import { launchBrowser } from '../support/browser.ts'
import { createClient, startConduit } from '../support/conduit.ts'
import { accountTests } from './conduit-pages/accounts.ts'
import { articleTests } from './conduit-pages/articles.ts'
import { listTests } from './conduit-pages/lists.ts'
import { refusalTests } from './conduit-pages/refusals.ts'
import type { Given } from './conduit-pages/visits.ts'

const given = {} as Given
let stop = async (): Promise<void> => {}

before(
  async () => {
    const { url, caughtUp } = await startConduit({ after: (end: () => Promise<void>) => void (stop = end) })
    Object.assign(given, { url, caughtUp, call: createClient(url), browser: await launchBrowser() })
  },
  { timeout: 120_000 },
)

after(async () => {
  await given.browser?.close()
  await stop()
})

accountTests(given)
articleTests(given)
listTests(given)
refusalTests(given)
