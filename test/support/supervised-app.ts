/**
 * A supervisor process for tests that kill and stop supervisors: runs two clones of the test app, prints their pids,
 * and stops on signals as the command does.
 */

import { createSupervisor } from '../../src/clones/supervisor.ts'
import { stopOnSignals } from '../../src/core/lifecycle.ts'
import { silentLogger } from '../../src/core/log.ts'

const supervisor = createSupervisor({ log: silentLogger })
stopOnSignals({ log: silentLogger, stop: () => supervisor.stop() })
await supervisor.run({ kind: 'clone', count: 2, spec: () => ({ entry: new URL('clone-app.ts', import.meta.url) }) })
process.stdout.write(`${JSON.stringify(supervisor.members().map((member) => member.process.pid))}\n`)
