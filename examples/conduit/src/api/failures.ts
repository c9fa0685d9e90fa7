/** Every failure in the API's one shape: `{"errors":{"<field>":["<message>"]}}`. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Messages, Refusal } from '../refusal.ts'
import { placeOf } from '../requests.ts'

const RETRY_AFTER_SECONDS = '1'

export async function answerFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { status, errors } = explain(error)
  if (status >= 500) request.ff.log.error({ error, ...placeOf(request) }, 'a request failed')
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  return reply.status(status).type('application/json; charset=utf-8').send({ errors })
}

/** The status and messages for anything that can be thrown while a request is answered. */
export function explain(error: unknown): { status: number; errors: Messages } {
  if (error instanceof Refusal) return { status: error.status, errors: error.errors }
  const status = statusOf(error)
  if (status === 400) return { status, errors: { body: ['malformed'] } }
  if (status === 413) return { status, errors: { body: ['is too large'] } }
  if (status === 415) return { status, errors: { body: ['must be application/json'] } }
  if (status >= 400 && status < 500) return { status, errors: { request: ['is not acceptable'] } }
  if (status === 503) return { status, errors: { server: ['is not available, try again'] } }
  return { status: 500, errors: { server: ['failed'] } }
}

/** Fastify's errors carry `statusCode`, Fourfold's `httpStatus`. */
function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 500
  if ('statusCode' in error && typeof error.statusCode === 'number') return error.statusCode
  if ('httpStatus' in error && typeof error.httpStatus === 'number') return error.httpStatus
  return 500
}
