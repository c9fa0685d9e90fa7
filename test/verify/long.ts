/** `npm run verify -- long`: the tests that the default run leaves out because they take long (`test/support/long-form.ts`). */

import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

const files = globSync('test/{integration,e2e}/*.test.ts').filter((file) =>
  readFileSync(file, 'utf8').includes('long-form.ts'),
)
if (files.length === 0) throw new Error('expected tests that import long-form.ts')
const env = { ...process.env, FOURFOLD_LONG_TESTS: '1' }
const child = spawn(process.execPath, ['scripts/test.ts', ...files], { stdio: 'inherit', env })
child.once('exit', (code) => (process.exitCode = code ?? 1))
