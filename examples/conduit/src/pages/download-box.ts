/**
 * What there is of the archive of one's articles: the order, how far it is, and the way to it. Without JavaScript the form
 * leads to a page that shows the same; with it `public/downloads.js` moves the bar where the reader is.
 */
import type { Download } from '../domain/downloads.ts'
import { date } from './elements.ts'
import { type Html, html } from './html.ts'

/** What a page may know of the order. */
export interface DownloadOrder {
  readonly id: string
  readonly state: 'scheduled' | 'waiting' | 'running' | 'failed' | 'done' | 'cancelled'
  readonly progress: number | null
  readonly message: string | null
  readonly problem: string | null
}

export interface DownloadView {
  readonly download: Download | undefined
  readonly order?: DownloadOrder
}

export const archivePath = '/downloads/articles.zip'

export function isOpen({ state }: DownloadOrder): boolean {
  return state !== 'done' && state !== 'failed' && state !== 'cancelled'
}

export function downloadBox({ download, order }: DownloadView): Html {
  const open = order !== undefined && isOpen(order) ? order : undefined
  return html`<section class="download" data-download="${open && `/jobs/${open.id}`}">
    <p>All you have written, as Markdown files in one archive.</p>
    <form class="action-form" method="post" action="/downloads">
      <button type="submit" class="btn btn-outline-primary" ${open && html` disabled`}>Download all my articles</button>
    </form>
    <div class="download-progress" ${!open && html` hidden`}>
      <progress max="1" value="${order?.progress ?? 0}" aria-label="Progress of the archive"></progress>
      <form class="action-form" method="post" action="${open && `/downloads/${open.id}/cancel`}">
        <button type="submit" class="btn btn-sm btn-outline-secondary">Cancel</button>
      </form>
    </div>
    <p class="download-state" role="status">${order && stateText(order)}</p>
    ${open && html`<p class="download-again"><a href="/downloads/${open.id}">Look again</a></p>`}
    <p class="download-link" ${!download && html` hidden`}>
      <a class="btn btn-primary" href="${archivePath}" download>Save articles.zip</a>
      <span class="download-about">${download && aboutDownload(download)}</span>
    </p>
  </section>`
}

function stateText({ state, message, problem }: DownloadOrder): string {
  if (state === 'done') return 'Your archive is ready.'
  if (state === 'failed') return problem ?? 'It did not work. Please try again.'
  if (state === 'cancelled') return 'It was cancelled.'
  return message ?? 'It will begin in a moment.'
}

function aboutDownload({ articles, madeAt }: Download): Html {
  return html`${articles} ${articles === 1 ? 'article' : 'articles'}, ${date(madeAt)}`
}
