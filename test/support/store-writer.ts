/** A process that raises a token for ever and prints each number that was acknowledged. Arguments: address, key. */

import { connectStore } from '../../src/store/connect.ts'

const [url = '', key = ''] = process.argv.slice(2)
const store = await connectStore({ url })
for (let lsn = 1; ; lsn += 1) {
  await store.raiseToken(key, 'epoch', lsn, 3_600_000)
  process.stdout.write(`${lsn}\n`)
}
