/** The pages: rendered on the server, sessions by cookie, forms that work without JavaScript. */
import formbody from '@fastify/formbody'
import type { FastifyInstance } from 'fastify'
import { csrf } from 'fourfold/fastify'
import { MAX_BODY_BYTES } from '../limits.ts'
import { notFound } from '../refusal.ts'
import { accountRoutes } from './accounts.ts'
import { articleRoutes } from './articles.ts'
import type { Assets } from './assets.ts'
import { digestRoutes } from './digest.ts'
import { downloadRoutes } from './downloads.ts'
import { editorRoutes } from './editor.ts'
import { showFailure } from './failures.ts'
import { fragmentRoutes } from './fragments.ts'
import { PAGE_HEADERS } from './headers.ts'
import { homeRoutes } from './home.ts'
import { profileRoutes } from './profiles.ts'
import { settingsRoutes } from './settings.ts'
import { acceptPictures } from './uploads.ts'
import { recognise, showNextPageWhole } from './visits.ts'

export async function registerPages(pages: FastifyInstance, options: { assets: Assets }): Promise<void> {
  pages.decorateRequest('visitor', null)
  pages.decorateRequest('sessionError', null)
  pages.setErrorHandler(showFailure)
  pages.setNotFoundHandler({ preHandler: recognise }, () => {
    throw notFound('route')
  })
  // The session's SameSite=Lax cookie is the guard for browsers that say no origin.
  await pages.register(csrf, { token: 'never' })
  pages.addHook('onSend', async (_request, reply) => {
    reply.headers(PAGE_HEADERS)
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private, no-cache').header('vary', 'cookie')
  })
  options.assets.register(pages)
  pages.removeAllContentTypeParsers()
  await pages.register(formbody, { bodyLimit: MAX_BODY_BYTES })
  await pages.register(async (visited) => {
    visited.addHook('preHandler', recognise)
    visited.addHook('onSend', showNextPageWhole)
    homeRoutes(visited)
    accountRoutes(visited)
    await visited.register(async (settings) => {
      await acceptPictures(settings)
      settingsRoutes(settings)
    })
    digestRoutes(visited)
    downloadRoutes(visited)
    editorRoutes(visited)
    articleRoutes(visited)
    profileRoutes(visited)
    fragmentRoutes(visited)
  })
}
