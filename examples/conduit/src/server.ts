/** Conduit's server: the API under `/api`, the pages under everything else. */
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { registerApi } from './api/index.ts'
import { MAX_BODY_BYTES } from './limits.ts'
import { registerPages } from './pages/index.ts'
import { publicFiles } from './public-files.ts'
import { createTokens } from './tokens.ts'
import { takeInUnreadBody } from './unread-bodies.ts'

/** Names and slugs are bounded where they are made; an address as long as Node takes is only not found. */
const MAX_PARAM_LENGTH = 16_384

export interface ServerOptions {
  readonly secrets: readonly string[]
  /** Gives requests their database and session: Fourfold's plugin. */
  readonly attach: (server: FastifyInstance) => Promise<void>
}

export async function createServer({ secrets, attach }: ServerOptions): Promise<FastifyInstance> {
  const server = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    frameworkErrors: answerBrokenAddress,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
  })
  server.decorate('asset', publicFiles.href)
  server.addHook('onSend', takeInUnreadBody)
  await attach(server)
  await server.register(registerApi, { prefix: '/api', tokens: createTokens(secrets) })
  await server.register(registerPages, { assets: publicFiles })
  return server
}

/** An address whose percent-encoding is broken belongs to no route, so that no route's handler can answer it. */
async function answerBrokenAddress(_error: Error, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (isForApi(request.url)) await reply.status(400).send({ errors: { route: ['malformed'] } })
  else await reply.status(400).type('text/html; charset=utf-8').send(BROKEN_ADDRESS)
}

/** Whether an address is one of the API's. */
function isForApi(url: string): boolean {
  return /^\/api(?:[/?#]|$)/.test(url)
}

const BROKEN_ADDRESS =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Bad request</title><h1>That address is broken</h1>'
