/** Publishes a page twice and removes another, as a worker that may write nowhere else. Arguments: the folder. */

import { makeDocument } from '../../src/pages/document.ts'
import { createDirectoryPublisher } from '../../src/pages/publish/directory.ts'

const publisher = createDirectoryPublisher(process.argv[2]!)
const signal = AbortSignal.timeout(10_000)
for (const text of ['first', 'second']) {
  const document = await makeDocument(200, ['content-type', 'text/html'], Buffer.from(text.repeat(500)), Date.now())
  for (const url of ['/deep/kept', '/gone']) {
    await publisher.publish(
      { url, looksAtQuery: false, document, version: { build: '', asOf: [], bakedAtMs: 0 } },
      signal,
    )
  }
}
await publisher.remove({ url: '/gone', looksAtQuery: false }, signal)
await publisher.sweep!(signal)
