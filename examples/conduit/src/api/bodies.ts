/**
 * Reads the API's request bodies. Clients send `Content-Type: application/json` with nothing behind it (a favourite
 * has no body), so an empty body of any type is no body; everything else must be JSON.
 */
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../refusal.ts'

const MALFORMED = { body: ['malformed'] }

export function readJsonBodies(api: FastifyInstance): void {
  api.removeAllContentTypeParsers()
  api.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json\b/i,
    { parseAs: 'string' },
    async (_request: unknown, text: string | Buffer) => parse(String(text)),
  )
  api.addContentTypeParser('*', { parseAs: 'string' }, async (_request: unknown, text: string | Buffer) => {
    if (text.length > 0) throw new Refusal(415, { body: ['must be application/json'] })
  })
}

function parse(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, MALFORMED)
  }
}
