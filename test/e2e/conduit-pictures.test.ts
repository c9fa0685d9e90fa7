/** Profile pictures of Conduit in a real browser, through the balancer, on three clones and two replicas of which one is late. */

import { after, before } from 'node:test'

import { launchBrowser } from '../support/browser.ts'
import { createClient, startConduit } from '../support/conduit.ts'
import { pictureTests } from './conduit-pages/pictures.ts'
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

pictureTests(given)
