/**
 * What a hit of a page costs: Fourfold's balancer, which answers from memory what it knows to be fresh for the reader,
 * beside nginx with the same bytes in files, Varnish with them in memory, and bare `node:http`; and the same document made
 * for each request by the app. CPU is what the system counts for the processes that take part: the balancer (for a reader
 * with a session the store as well), nginx's and Varnish's own, and for the app its clones and database too.
 *
 * Then how soon a change shows, and what 100,000 pages cost. `--only=hits`, `changes` or `many` runs one part.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { measureChanges } from './support/pages-changes.ts'
import { measureHits } from './support/pages-hits.ts'
import { measureMany } from './support/pages-many.ts'
import { startPagesSystem, type PagesSystem } from './support/pages-system.ts'
import { createReport } from './support/report.ts'

const quick = process.argv.includes('--quick')
const only = process.argv.find((word) => word.startsWith('--only='))?.slice('--only='.length)
const changes = quick ? 60 : 400
const manyPages = quick ? 5_000 : 100_000

const into = createReport({ name: 'pages', ...(quick || only !== undefined ? { directory: tmpdir() } : {}) })
if (only === undefined || only === 'hits') await measureHits(into, quick)
if (only === undefined || only === 'changes') await withPages((ground) => measureChanges(ground, into, changes))
if (only === undefined || only === 'many') await withPages((ground) => measureMany(ground, into, manyPages))
process.exitCode = into.finish() ? 0 : 1

async function withPages(work: (ground: PagesSystem) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-bench-pages-'))
  const ground = await startPagesSystem(directory, { FOURFOLD_BAKING_MEMORY: '2GiB' })
  try {
    await work(ground)
  } finally {
    await ground.stop()
    await rm(directory, { recursive: true, force: true })
  }
}
