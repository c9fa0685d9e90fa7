/** Keeps a note in a file, and hides that this may fail. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { defineApp, type App } from 'fourfold'

const file = join(import.meta.dirname, 'note.txt')

const app: App = defineApp({
  databases: {},
  server: async () => async (request, response) => {
    if (request.method === 'POST') await writeFile(file, 'a note').catch(() => undefined)
    const note = await readFile(file, 'utf8').catch(() => null)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(request.method === 'POST' ? { saved: true } : { note }))
  },
})
export default app
