/** The API under `/api`: the RealWorld project's, for any client of it. */
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { listTags } from '../domain/tags.ts'
import { notFound } from '../refusal.ts'
import { cacheOf } from '../requests.ts'
import type { Tokens } from '../tokens.ts'
import { articleRoutes } from './articles.ts'
import { createAuthentication } from './authentication.ts'
import { readJsonBodies } from './bodies.ts'
import { commentRoutes } from './comments.ts'
import { answerFailure } from './failures.ts'
import { profileRoutes } from './profiles.ts'
import { userRoutes } from './users.ts'

const ONE_DAY_SECONDS = 86_400

export async function registerApi(api: FastifyInstance, options: { tokens: Tokens }): Promise<void> {
  const authentication = createAuthentication(options.tokens)
  api.decorateRequest('apiUser', null)
  api.setErrorHandler(answerFailure)
  // Before the body is looked at: what is wrong with it does not matter where nothing would read it.
  api.addHook('onRequest', async (request) => {
    if (request.is404) throw notFound('route')
  })
  api.setNotFoundHandler(() => {
    throw notFound('route')
  })
  // Any site may hold a client: the API knows its users by a header that no browser sends by itself.
  await api.register(cors, { origin: '*', strictPreflight: false, maxAge: ONE_DAY_SECONDS, methods: METHODS })
  api.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
  })
  readJsonBodies(api)
  userRoutes(api, options.tokens, authentication)
  profileRoutes(api, authentication)
  articleRoutes(api, authentication)
  commentRoutes(api, authentication)
  api.get('/tags', async (request) => ({ tags: await listTags(cacheOf(request)) }))
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']
