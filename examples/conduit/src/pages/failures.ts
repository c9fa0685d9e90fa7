/** Failures as pages: the same facts as the API's, in words for people. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { explain } from '../api/failures.ts'
import { placeOf } from '../requests.ts'
import { html } from './html.ts'
import type { Page } from './layout.ts'
import { show } from './visits.ts'

const WORDS: Readonly<Record<number, readonly [heading: string, text: string]>> = {
  400: ['That address is broken', 'Part of it could not be read.'],
  403: ['That is not yours', 'Only the one who wrote it can change it, and only from these pages.'],
  404: ['Nothing is here', 'The page was moved, deleted, or never was.'],
  413: ['That is too much', 'What was sent is larger than this site takes.'],
  415: ['That could not be read', 'This site takes forms as browsers send them.'],
  503: ['Back in a moment', 'Something that this page needs does not answer. Please try again.'],
}
const UNKNOWN = ['Something went wrong', 'It was written down, and somebody will look at it.'] as const

export async function showFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { status } = explain(error)
  if (status >= 500) request.ff.log.error({ error, ...placeOf(request) }, 'a page failed')
  return show(request, reply, failurePage(status), status)
}

export function failurePage(status: number): Page {
  const [heading, text] = WORDS[status] ?? UNKNOWN
  const content = html`<div class="failure-page">
    <div class="container page narrow">
      <p class="failure-status">${status}</p>
      <h1>${heading}</h1>
      <p>${text}</p>
      <p><a class="btn btn-outline-secondary" href="/">To the front page</a></p>
    </div>
  </div>`
  return { title: heading, place: 'other', content }
}
