/**
 * Conduit's API as a client sees it, status by status, field by field: through the balancer, on three clones and two
 * replicas of which one is late.
 */

import { after, before } from 'node:test'

import { createClient, publish, register, startConduit } from '../support/conduit.ts'
import { accountTests } from './conduit-api/accounts.ts'
import type { Given } from './conduit-api/answers.ts'
import { articleTests } from './conduit-api/articles.ts'
import { authenticationTests } from './conduit-api/authentication.ts'
import { badRequestTests } from './conduit-api/bad-requests.ts'
import { commentTests } from './conduit-api/comments.ts'
import { listTests } from './conduit-api/lists.ts'
import { profileTests } from './conduit-api/profiles.ts'
import { rawRequestTests } from './conduit-api/raw-requests.ts'

const given = {} as Given
let stop = async (): Promise<void> => {}

before(
  async () => {
    const conduit = await startConduit({ after: (end: () => Promise<void>) => void (stop = end) })
    const call = createClient(conduit.url)
    const [ann, bob] = await Promise.all([register(call, 'ann'), register(call, 'bob')])
    Object.assign(given, { url: conduit.url, call, ann, bob, article: await publish(call, ann) })
  },
  { timeout: 120_000 },
)

after(() => stop())

accountTests(given)
authenticationTests(given)
profileTests(given)
articleTests(given)
listTests(given)
commentTests(given)
badRequestTests(given)
rawRequestTests(given)
