/** `npm run verify -- NAME [--quick] [--history FILE]`: runs the harness `test/verify/NAME.ts`. */

import { runNamed } from './run-named.ts'

process.exitCode = await runNamed('test/verify', process.argv.slice(2))
