/**
 * What a handler takes from its request: the cache and the database as this reader may see them. Everything below the
 * handlers is given one of them and knows nothing of requests: what reads takes the cache, what writes the database.
 */
import type { FastifyRequest } from 'fastify'
import type { Cache } from 'fourfold'
import type { Executor, Schema } from './schema.ts'

declare module 'fourfold/fastify' {
  interface Register {
    schemas: { main: Schema }
  }
}

/** Cached objects and queries, as fresh as the request's reader and level ask. */
export function cacheOf(request: FastifyRequest): Cache {
  return request.ff.cache
}

/** The same with everything that anybody wrote before. */
export function strictCacheOf(request: FastifyRequest): Cache {
  return request.ff.as({ level: 'strict' }).cache
}

/** The database, bound to the request's reader and level. */
export function databaseOf(request: FastifyRequest): Executor {
  return request.ff.databases.main
}

/** The database with everything that anybody wrote before: for checks that others' writes decide. */
export function strictDatabaseOf(request: FastifyRequest): Executor {
  return request.ff.as({ level: 'strict' }).databases.main
}

/** The database in the name of a user whom the request does not carry yet, one who is just registering; or nobody's. */
export function databaseFor(request: FastifyRequest, userId: number | null): Executor {
  const reader = userId === null ? null : readerKey(userId)
  return request.ff.as({ reader, level: 'strict' }).databases.main
}

/** The reader that a user is, whichever way they come: by token or by session. */
export function readerKey(userId: number): string {
  return `user:${userId}`
}

/** What a log line says of the request it is about. */
export function placeOf({ method, url, headers }: FastifyRequest): object {
  return { method, path: url.split('?')[0], requestId: headers['x-request-id'] }
}
