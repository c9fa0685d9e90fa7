/** Lists of articles on pages: previews, the tabs above, the paging below. */
import type { ArticleList } from '../domain/article-lists.ts'
import type { ArticleSummary } from '../domain/articles.ts'
import { actionForm, articlePath, type Asset, avatar, date, icon, profilePath, tagPills } from './elements.ts'
import { type Content, type Html, html } from './html.ts'
import { filledIn, type Part } from './parts.ts'

export const PAGE_SIZE = 10
/** Up to so many pages all are linked; of more, the first, the last and those around the current one. */
const PAGES_SHOWN_IN_FULL = 12
const NEIGHBOURS = 2

export interface Tab {
  readonly href: string
  readonly text: Content
  readonly active: boolean
}

export function tabs(entries: readonly Tab[], className = 'feed-toggle', part: Part = filledIn): Html {
  return html`<div class="${className}">
    <ul class="nav nav-pills outline-active" ${part('tabs')}>
      ${tabItems(entries)}
    </ul>
  </div>`
}

export function tabItems(entries: readonly Tab[]): Html {
  return html`${entries.map(tab)}`
}

function tab({ href, text, active }: Tab): Html {
  const current = active && html` aria-current="page"`
  return html`<li class="nav-item"><a class="nav-link${active && ' active'}" href="${href}" ${current}>${text}</a></li>`
}

export interface ListView {
  readonly list: ArticleList
  readonly page: number
  /** The address of a page of this list. */
  readonly pageHref: (page: number) => string
  readonly asset: Asset
  /** More to say where there is nothing to show. */
  readonly emptyHint?: Content
  readonly part?: Part
}

export function articleList({ list, page, pageHref, asset, emptyHint, part = filledIn }: ListView): Html {
  const pages = Math.ceil(list.articlesCount / PAGE_SIZE)
  const empty = html`<p class="empty-feed-message">No articles are here... yet.${emptyHint}</p>`
  return html`${list.articles.length === 0 ? empty : list.articles.map((article) => preview(article, asset, part))}
  ${pages > 1 && pagination(page, pages, pageHref)}`
}

function preview(article: ArticleSummary, asset: Asset, part: Part): Html {
  const { id, slug, title, description, tagList } = article
  return html`<article class="article-preview">
    <div class="article-meta">
      ${authorBlock(article, asset)}
      <div class="favorite" ${part(`favorite-${id}`)}>${favoriteHeart(article)}</div>
    </div>
    <a class="preview-link" href="${articlePath(slug)}">
      <h1>${title}</h1>
      <p>${description}</p>
      <div class="preview-foot"><span class="read-more">Read more...</span>${tagPills(tagList)}</div>
    </a>
  </article> `
}

/** Who wrote an article, and when. */
export function authorBlock({ author, createdAt }: ArticleSummary, asset: Asset): Html {
  const href = profilePath(author.username)
  return html`<a class="author-picture" href="${href}" tabindex="-1" aria-hidden="true"
      >${avatar(author, 'author-img', asset)}</a
    >
    <div class="info"><a class="author" href="${href}">${author.username}</a>${date(createdAt)}</div>`
}

export function favoriteHeart({ slug, favorited, favoritesCount }: ArticleSummary): Html {
  const action = `${articlePath(slug)}/${favorited ? 'unfavorite' : 'favorite'}`
  const text = html`<span class="visually-hidden">${favorited ? 'Unfavorite' : 'Favorite'} </span>${icon('heart')}
    <span class="counter">${favoritesCount}</span>`
  return actionForm(action, `btn btn-sm ${favorited ? 'btn-primary' : 'btn-outline-primary'}`, text)
}

function pagination(page: number, pages: number, href: (page: number) => string): Html {
  const items = shownPages(page, pages).map((number) =>
    number === null
      ? html`<li class="page-gap" aria-hidden="true">…</li>`
      : html`<li class="page-item${number === page && ' active'}">
          <a class="page-link" href="${href(number)}" ${number === page && html` aria-current="page"`}>${number}</a>
        </li>`,
  )
  return html`<ul class="pagination" aria-label="Pages">
    ${items}
  </ul>`
}

/** The page numbers to link; null where some are left out. */
function shownPages(page: number, pages: number): (number | null)[] {
  const all = Array.from({ length: pages }, (_, index) => index + 1)
  if (pages <= PAGES_SHOWN_IN_FULL) return all
  const shown = all.filter((n) => n === 1 || n === pages || Math.abs(n - page) <= NEIGHBOURS)
  return shown.flatMap((n, index) => (index > 0 && n - (shown[index - 1] ?? n) > 1 ? [null, n] : [n]))
}
