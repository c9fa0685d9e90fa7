/**
 * Serves `ff.files` with Fastify, under the configuration's `files.path`, for GET and HEAD:
 *
 * ```ts
 * await app.register(fourfold, { ff })
 * await app.register(fileRoutes, { ff })
 * ```
 *
 * Whoever has the address of a file may read it. Where that is too many, answer from a route of your own:
 * `request.ff.files.answer(request, name, { cacheControl: 'private, no-store' })`.
 */

import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { Fourfold } from '../app/fourfold.ts'
import type { AnswerOptions, FileAnswer } from '../files/files.ts'

export interface FileRoutesOptions extends Pick<AnswerOptions, 'cacheControl'> {
  /** The opened app. */
  readonly ff: Fourfold<any>
}

export const fileRoutes: FastifyPluginAsync<FileRoutesOptions> = async (app, { ff, cacheControl }) => {
  app.route<{ Params: { name: string } }>({
    method: ['GET', 'HEAD'],
    url: `${ff.config.files.path}/:name`,
    handler: async (request, reply) => {
      const options = cacheControl === undefined ? {} : { cacheControl }
      return sendAnswer(reply, await request.ff.files.answer(request, request.params.name, options))
    },
  })
}

/** Sends what {@link Files.answer} answered. */
export function sendAnswer(reply: FastifyReply, { status, headers, body }: FileAnswer): FastifyReply {
  return reply
    .status(status)
    .headers(headers)
    .send(body ?? undefined)
}
