/** Whether a server allows its changes to be followed at all: asked once, at the start. `fourfold doctor` tells more. */

import type { PostgresAddress } from '../address.ts'
import { judgeServer } from './requirements.ts'
import { readServerFacts } from './server-facts.ts'

/** What may be otherwise in a moment, and which the tracker tries again for. */
const passing: ReadonlySet<string> = new Set(['max_replication_slots', 'max_wal_senders'])

/** What is missing, in words for people; null where nothing is. */
export async function findMissing(address: PostgresAddress, timeoutMs: number): Promise<string | null> {
  try {
    const facts = await readServerFacts({ name: '', address, timeoutMs, probe: false })
    const missing = judgeServer(facts, { ddl: 'any' }).filter(
      ({ id, blocks }) => blocks === 'stream' && !passing.has(id),
    )
    return missing.length === 0 ? null : missing.map(({ what }) => what).join('; ')
  } catch (error) {
    return `the server could not be asked: ${String(error)}`
  }
}
