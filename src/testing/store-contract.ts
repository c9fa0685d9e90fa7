/**
 * The contract of every store driver, as tests for `node:test`. A driver passes when it does what `Store`'s prose
 * says, against its real server: two clients at once, expiry, any bytes, a server that restarts, a server that is
 * paused.
 *
 * @example
 * storeContract({ name: 'redis', start: startRedis, survivesRestart: false })
 */

import { after, before, describe } from 'node:test'
import type { Store } from '../store/store.ts'
import { budgetTests } from './store-contract/budgets.ts'
import { bytesTests } from './store-contract/bytes.ts'
import { expiryTests } from './store-contract/expiry.ts'
import { closingTests, failureTests } from './store-contract/failures.ts'
import { leaseTests } from './store-contract/leases.ts'
import type { StoreContractOptions, StoreServerUnderTest } from './store-contract/options.ts'
import { deadlineMs, type Clients } from './store-contract/parts.ts'
import { recordTests } from './store-contract/records.ts'
import { registryTests } from './store-contract/registry.ts'
import { followingTests, streamTests } from './store-contract/streams.ts'
import { tokenTests } from './store-contract/tokens.ts'
import { until } from './until.ts'

/** Registers the contract's tests. */
export function storeContract(options: StoreContractOptions): void {
  describe(`the contract of stores: ${options.name}`, { skip: options.skip ?? false }, () => {
    let server: StoreServerUnderTest
    let one: Store
    let two: Store
    let names = 0
    const fresh = (): string => `contract:${(names += 1)}`

    before(async () => {
      server = await options.start()
      one = await server.connect({ deadlineMs })
      two = await server.connect({ deadlineMs })
      await until('both clients are connected', () => Promise.all([one.ping(), two.ping()]))
    })
    after(async () => {
      await Promise.all([one?.close(), two?.close()])
      await server?.stop()
    })
    const clients = (): Clients => ({ one, two, fresh })

    recordTests(clients)
    bytesTests(clients)
    expiryTests(clients)
    tokenTests(clients)
    leaseTests(clients)
    registryTests(clients)
    streamTests(clients)
    followingTests(
      (ms) => server.connect({ deadlineMs: ms }),
      clients,
      () => server.restart(),
      options.wakesWithinMs ?? 50,
    )
    budgetTests(clients)
    closingTests(() => server)
    failureTests(() => server, clients, options)
  })
}
