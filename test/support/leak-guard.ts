/**
 * Loaded before each test file by `scripts/test.ts`. When the file's tests are over, its process must end by itself:
 * one that still holds a server, a timer or a connection long after is a test that did not clean up. It is
 * told which resources hold it, and fails.
 */

import { after } from 'node:test'

/** Hooks run in the order in which they were given, so those of the file come behind this one: ending a system takes a while. */
const patienceMs = 20_000

after(() => {
  // Does not keep the process alive by itself, so it fires only where something else does.
  setTimeout(() => {
    const resources = [...new Set(process.getActiveResourcesInfo())].join(', ')
    process.stderr.write(`${process.argv[1]}: still running after its tests ended, held by: ${resources}\n`)
    process.exit(1)
  }, patienceMs).unref()
})
