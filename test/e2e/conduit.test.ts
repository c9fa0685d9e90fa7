/**
 * Conduit through the balancer, on three clones and two replicas of which one is late. Its API as a client sees it,
 * status by status, field by field; its pages and profile pictures in a real browser. What one reader is to see of
 * another's writes on pages is looked at once the replicas have it: more is not promised at `session`.
 */

import { after, before } from 'node:test'

import { launchBrowser } from '../support/browser.ts'
import { createClient, publish, register, startConduit } from '../support/conduit.ts'
import { accountTests } from './conduit-api/accounts.ts'
import { articleTests } from './conduit-api/articles.ts'
import { authenticationTests } from './conduit-api/authentication.ts'
import { badRequestTests } from './conduit-api/bad-requests.ts'
import { commentTests } from './conduit-api/comments.ts'
import { listTests } from './conduit-api/lists.ts'
import { profileTests } from './conduit-api/profiles.ts'
import { rawRequestTests } from './conduit-api/raw-requests.ts'
import { accountTests as accountPages } from './conduit-pages/accounts.ts'
import { articleTests as articlePages } from './conduit-pages/articles.ts'
import { bakedTests } from './conduit-pages/baked.ts'
import { downloadTests } from './conduit-pages/downloads.ts'
import { listTests as listPages } from './conduit-pages/lists.ts'
import { lookTests } from './conduit-pages/looks.ts'
import { pictureTests } from './conduit-pages/pictures.ts'
import { refusalTests } from './conduit-pages/refusals.ts'

import type { Given as GivenApi } from './conduit-api/answers.ts'
import type { Given as GivenPages } from './conduit-pages/visits.ts'

const given = {} as GivenApi & GivenPages
let stop = async (): Promise<void> => {}

before(
  async () => {
    const conduit = await startConduit({ after: (end: () => Promise<void>) => void (stop = end) })
    const call = createClient(conduit.url)
    const [ann, bob] = await Promise.all([register(call, 'ann'), register(call, 'bob')])
    const browser = await launchBrowser()
    Object.assign(given, { ...conduit, call, ann, bob, article: await publish(call, ann), browser })
  },
  { timeout: 120_000 },
)

after(async () => {
  await given.browser?.close()
  await stop()
})

accountTests(given)
authenticationTests(given)
profileTests(given)
articleTests(given)
listTests(given)
commentTests(given)
badRequestTests(given)
accountPages(given)
articlePages(given)
listPages(given)
bakedTests(given)
pictureTests(given)
refusalTests(given)
downloadTests(given)
lookTests(given)
// Last: the same clones are to answer after all of it.
rawRequestTests(given)
