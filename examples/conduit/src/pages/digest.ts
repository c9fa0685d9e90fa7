/** `/digest`: what was new, day by day, for everybody. */
import type { FastifyInstance } from 'fastify'
import { type Digest, newestDigests } from '../domain/digests.ts'
import { databaseOf } from '../requests.ts'
import { date } from './elements.ts'
import { html } from './html.ts'
import type { Page } from './layout.ts'
import { show } from './visits.ts'

const DAYS = 30

export function digestRoutes(pages: FastifyInstance): void {
  pages.get('/digest', async (request, reply) =>
    show(request, reply, digestPage(await newestDigests(databaseOf(request), DAYS))),
  )
}

function digestPage(digests: readonly Digest[]): Page {
  const rows = digests.map(
    ({ day, articles, comments, favorites }) =>
      html`<tr>
        <th scope="row">${date(new Date(day))}</th>
        <td>${articles}</td>
        <td>${comments}</td>
        <td>${favorites}</td>
      </tr>`,
  )
  const content = html`<div class="digest-page">
    <div class="container page medium">
      <h1>Day by Day</h1>
      ${
        digests.length === 0
          ? html`<p>The first day is counted in the night after it.</p>`
          : html`<table class="digest">
              <thead>
                <tr>
                  <th scope="col">Day</th>
                  <th scope="col">Articles</th>
                  <th scope="col">Comments</th>
                  <th scope="col">Favorites</th>
                </tr>
              </thead>
              <tbody>
                ${rows}
              </tbody>
            </table>`
      }
    </div>
  </div>`
  return { title: 'Day by Day', place: 'other', content }
}
