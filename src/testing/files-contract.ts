/**
 * The contract of every driver of files, as tests for `node:test`. A driver passes when it does what `FileDriver`'s and
 * `Files`' prose says, against its real server: two processes at once, uploads that break off, races of the same bytes,
 * a server that is paused.
 *
 * @example
 * filesContract({ name: 'sql', start: startDatabase })
 */

import { after, before, describe } from 'node:test'
import { createFiles } from '../files/create-files.ts'
import type { FileDriver } from '../files/driver.ts'
import { bytesTests } from './files-contract/bytes.ts'
import { deadlineTests } from './files-contract/deadlines.ts'
import type { FilesContractOptions } from './files-contract/options.ts'
import type { Given } from './files-contract/parts.ts'
import { removalTests } from './files-contract/removals.ts'
import { brokenUploadTests, sweepTests } from './files-contract/uploads.ts'

const maxBytes = 64 * 1024 ** 2
/** Registers the contract's tests. */
export function filesContract(options: FilesContractOptions): void {
  describe(`the contract of files: ${options.name}`, { skip: options.skip ?? false }, () => {
    const given = {} as { -readonly [Key in keyof Given]: Given[Key] }
    const drivers: FileDriver[] = []
    before(async () => {
      given.server = await options.start()
      drivers.push(await given.server.connect(), await given.server.connect())
      const [first, second] = drivers as [FileDriver, FileDriver]
      given.driver = first
      given.one = createFiles({ driver: first, maxBytes })
      given.two = createFiles({ driver: second, maxBytes })
    })
    after(async () => {
      for (const driver of [...drivers, ...drivers]) await driver.close()
      await given.server?.stop()
    })
    bytesTests(given)
    removalTests(given)
    brokenUploadTests(given)
    sweepTests(given)
    deadlineTests(given)
  })
}
