/** Bare `node:http` with documents in memory, from the file that it is given: what answering costs in Node at the least. */

import { readFileSync } from 'node:fs'

import { serveBare } from '../support/static-fronts.ts'

const read = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Record<string, string>
const documents = new Map(Object.entries(read).map(([path, text]) => [path, Buffer.from(text, 'base64')]))
const port = await serveBare(documents)
process.once('disconnect', () => process.exit())
process.send?.({ port })
