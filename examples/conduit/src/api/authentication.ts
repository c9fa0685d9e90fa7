/**
 * Who is asking, by the `Authorization: Token <jwt>` header. Checked before the body is read, so that nobody has to
 * send a correct article to learn that they are not signed in.
 */
import type { FastifyRequest } from 'fastify'
import { findUser, type User } from '../domain/users.ts'
import { tokenInvalid, tokenMissing } from '../refusal.ts'
import { cacheOf } from '../requests.ts'
import { tokenIn, type Tokens } from '../tokens.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The user whose token came with an API request. */
    apiUser: User | null
  }
}

export interface Authentication {
  /** An `onRequest` hook for routes that only users may call. */
  required(request: FastifyRequest): Promise<void>
  /** An `onRequest` hook for routes that show users more than others; a token that is not valid is still refused. */
  optional(request: FastifyRequest): Promise<void>
}

export function createAuthentication(tokens: Tokens): Authentication {
  const optional = async (request: FastifyRequest): Promise<void> => {
    const token = tokenIn(request.headers.authorization)
    if (token === null) return
    const userId = await tokens.verify(token)
    const user = userId === null ? undefined : await findUser(cacheOf(request), userId)
    if (!user) throw tokenInvalid()
    request.apiUser = user
  }
  const required = async (request: FastifyRequest): Promise<void> => {
    await optional(request)
    if (!request.apiUser) throw tokenMissing()
  }
  return { required, optional }
}

/** The user of a route behind {@link Authentication.required}. */
export function userOf(request: FastifyRequest): User {
  if (!request.apiUser) throw tokenMissing()
  return request.apiUser
}

/** The id of whoever is asking, or null. */
export function viewerOf(request: FastifyRequest): number | null {
  return request.apiUser?.id ?? null
}
