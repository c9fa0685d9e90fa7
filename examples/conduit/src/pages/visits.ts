/** A visit to a page: who the visitor is by their session, and the answer as a whole document. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { findUser, type User } from '../domain/users.ts'
import { tokenMissing } from '../refusal.ts'
import { cacheOf, placeOf } from '../requests.ts'
import type { Asset } from './elements.ts'
import { type Page, renderDocument } from './layout.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The user whose session came with a page's request. */
    visitor: User | null
    /** Why the visitor is not known, if the session could not be read. */
    sessionError: Error | null
  }
  interface FastifyInstance {
    asset: Asset
  }
}

/** A `preHandler` hook: finds the visitor. A page that anybody may read is shown even if sessions cannot be read. */
export async function recognise(request: FastifyRequest): Promise<void> {
  try {
    request.visitor = await visitorBySession(request)
  } catch (error) {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw error
    request.ff.log.warn(
      { error, ...placeOf(request) },
      'the session could not be read: the visitor is treated as anonymous',
    )
    request.sessionError = error instanceof Error ? error : new Error(String(error))
  }
}

/** A `preHandler` hook for pages that only users see: others are sent to sign in. */
export async function mustBeSignedIn(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (request.visitor) return
  if (request.sessionError) throw request.sessionError
  await reply.redirect('/login', 303)
}

/**
 * An `onSend` hook: after a form the next page comes whole from its route, in one answer. The script in it says again that
 * this browser fills in what is personal by itself.
 */
export async function showNextPageWhole({ method, headers }: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (method !== 'POST' || headers.cookie?.includes('ff_fragments=') !== true) return
  reply.header('set-cookie', 'ff_fragments=; Path=/; Max-Age=0; SameSite=Lax')
}

/** The visitor of a page behind {@link mustBeSignedIn}. */
export function visitorOf(request: FastifyRequest): User {
  if (!request.visitor) throw tokenMissing()
  return request.visitor
}

/** From now on the session is this user's. The session gets a new id: one that was planted before is worth nothing. */
export async function signIn(request: FastifyRequest, user: User): Promise<void> {
  await request.session.regenerate({ renew: true })
  request.session.set('userId', user.id)
  request.visitor = user
}

/** Answers with a page. */
export async function show(request: FastifyRequest, reply: FastifyReply, page: Page, status = 200): Promise<unknown> {
  const text = renderDocument(page, { viewer: request.visitor, asset: request.server.asset })
  return reply.status(status).type('text/html; charset=utf-8').send(text)
}

async function visitorBySession(request: FastifyRequest): Promise<User | null> {
  const userId = await request.session.get('userId')
  if (typeof userId !== 'number') return null
  return (await findUser(cacheOf(request), userId)) ?? null
}
