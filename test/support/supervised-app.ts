/** A supervisor process for tests that kill supervisors: runs two clones of the test app and prints their pids. */

import { createSupervisor } from '../../src/clones/supervisor.ts'
import { silentLogger } from '../../src/core/log.ts'

const supervisor = createSupervisor({ log: silentLogger })
await supervisor.run({ kind: 'clone', count: 2, spec: () => ({ entry: new URL('clone-app.ts', import.meta.url) }) })
process.stdout.write(`${JSON.stringify(supervisor.members().map((member) => member.process.pid))}\n`)
