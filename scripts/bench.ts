/** `npm run bench -- NAME [--quick]`: runs `bench/NAME.ts`. */

import { runNamed } from './run-named.ts'

process.exitCode = await runNamed('bench', process.argv.slice(2))
