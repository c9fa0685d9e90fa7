/** `/downloads`: all of one's articles in one archive. It is made by a job; its file is answered to its owner alone. */
import type { FastifyInstance } from 'fastify'
import type { JobStatus } from 'fourfold'
import { sendAnswer } from 'fourfold/fastify'
import { findDownload } from '../domain/downloads.ts'
import { exportArticles } from '../jobs/contracts.ts'
import { notFound } from '../refusal.ts'
import { databaseOf } from '../requests.ts'
import { archivePath, downloadBox, type DownloadOrder, type DownloadView } from './download-box.ts'
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
    const { id } = request.params
    const status = await request.ff.jobs.own<typeof exportArticles>(id)
    if (status?.name !== exportArticles.name) throw notFound('route')
    const download = await findDownload(databaseOf(request), visitorOf(request).id)
    return show(request, reply, orderPage({ order: orderOf(status), download }))
  })
}

function orderOf({ id, state, progress, message, error }: JobStatus): DownloadOrder {
  return { id, state, progress, message, problem: error?.code === 'JOB_FAILURE' ? error.message : null }
}

/** While a new archive is made the one of before is not offered here. */
function orderPage({ order, download }: DownloadView): Page {
  const content = html`<div class="settings-page">
    <div class="container page narrow">
      <h1>Your Articles</h1>
      ${downloadBox({ order, download: order?.state === 'done' ? download : undefined })}
    </div>
  </div>`
  return { title: 'Your Articles', place: 'settings', content, scripts: ['downloads.js'] }
}
