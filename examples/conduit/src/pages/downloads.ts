/** `/downloads`: all of one's articles in one archive. It is made by a job; its file is answered to its owner alone. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isFourfoldError, type JobStatus } from 'fourfold'
import { sendAnswer } from 'fourfold/fastify'
import { findDownload } from '../domain/downloads.ts'
import { exportArticles } from '../jobs/contracts.ts'
import { notFound } from '../refusal.ts'
import { databaseOf } from '../requests.ts'
import { archivePath, downloadBox, isOpen, type DownloadOrder, type DownloadView } from './download-box.ts'
import { html } from './html.ts'
import type { Page } from './layout.ts'
import { mustBeSignedIn, show, visitorOf } from './visits.ts'

interface OrderRoute {
  Params: { id: string }
}

export function downloadRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  pages.post('/downloads', signedIn, async (request, reply) => {
    const { jobs } = request.ff
    const input = { userId: visitorOf(request).id }
    // The script says what it takes; a browser that sends a form takes pages.
    if (request.headers.accept === 'application/json') {
      return reply.send(await jobs.accept(exportArticles, input, request))
    }
    const { id } = await jobs.enqueue(exportArticles, input)
    return reply.redirect(`/downloads/${id}`, 303)
  })

  pages.get(archivePath, signedIn, async (request, reply) => {
    const download = await findDownload(databaseOf(request), visitorOf(request).id)
    if (download === undefined) throw notFound('route')
    const options = { cacheControl: 'private, no-store', download: 'articles.zip' }
    return sendAnswer(reply, await request.ff.files.answer(request, download.file, options))
  })

  pages.get<OrderRoute>('/downloads/:id', signedIn, async (request, reply) => {
    const order = await orderAt(request)
    const download = await findDownload(databaseOf(request), visitorOf(request).id)
    return show(request, reply, orderPage({ order, download }))
  })

  pages.post<OrderRoute>('/downloads/:id/cancel', signedIn, async (request, reply) => {
    const { jobs } = request.ff
    const { id } = await orderAt(request)
    await jobs.cancel(id)
    // The script hears of its end as it hears of its progress.
    if (request.headers.accept === 'application/json') return reply.status(204).send()
    // One that is under way needs a moment. Until its end it is what another order would meet.
    await jobs.wait(id, { timeout: '5s' }).catch((error: unknown) => {
      if (!isFourfoldError(error, 'FF_CORE_DEADLINE')) throw error
    })
    return reply.redirect(`/downloads/${id}`, 303)
  })
}

/** The visitor's own order that the address names. */
async function orderAt(request: FastifyRequest<OrderRoute>): Promise<DownloadOrder> {
  const status = await request.ff.jobs.own<typeof exportArticles>(request.params.id)
  if (status?.name !== exportArticles.name) throw notFound('route')
  return orderOf(status)
}

function orderOf({ id, state, progress, message, error }: JobStatus): DownloadOrder {
  return { id, state, progress, message, problem: error?.code === 'JOB_FAILURE' ? error.message : null }
}

/** While a new archive is made the one of before is not offered. */
function orderPage({ order, download }: Required<DownloadView>): Page {
  const content = html`<div class="settings-page">
    <div class="container page narrow">
      <h1>Your Articles</h1>
      ${downloadBox({ order, download: isOpen(order) ? undefined : download })}
    </div>
  </div>`
  return { title: 'Your Articles', place: 'settings', content, scripts: ['downloads.js'] }
}
