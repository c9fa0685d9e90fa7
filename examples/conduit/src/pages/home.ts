/** `/`, `/?feed=following` and `/tag/:tag`: the articles of everybody, of those one follows, of one tag. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ArticleFilter, type ArticleList, listArticles, listFeed, type Paging } from '../domain/article-lists.ts'
import { listPopularTags } from '../domain/tags.ts'
import { isStorable } from '../input.ts'
import { notFound } from '../refusal.ts'
import { cacheOf } from '../requests.ts'
import { articleList, PAGE_SIZE, type Tab, tabs } from './article-list.ts'
import { icon, tagPath } from './elements.ts'
import { type Content, type Html, html } from './html.ts'
import type { Page } from './layout.ts'
import { pageNumber, pagingOf, withPage } from './paging.ts'
import { mustBeSignedIn, show } from './visits.ts'

const SIDEBAR_TAGS = 30

interface Feed {
  readonly title: string
  readonly filter?: ArticleFilter
  readonly tag?: string
  readonly following?: boolean
  readonly emptyHint?: Content
}

export function homeRoutes(pages: FastifyInstance): void {
  pages.get<{ Querystring: { feed?: unknown } }>('/', async (request, reply) => {
    if (request.query.feed !== 'following') return showFeed(request, reply, { title: '' })
    await mustBeSignedIn(request, reply)
    if (!request.visitor) return reply
    const emptyHint = html` Your feed is empty: follow some authors, or read the <a href="/">global feed</a>.`
    return showFeed(request, reply, { title: 'Your feed', following: true, emptyHint })
  })

  pages.get<{ Params: { tag: string } }>('/tag/:tag', async (request, reply) => {
    const { tag } = request.params
    if (!isStorable(tag)) throw notFound('route')
    return showFeed(request, reply, { title: `#${tag}`, filter: { tag }, tag })
  })
}

async function showFeed(request: FastifyRequest, reply: FastifyReply, feed: Feed): Promise<unknown> {
  const page = pageNumber(request)
  const cache = cacheOf(request)
  const [list, tags] = await Promise.all([
    listOf(request, feed, pagingOf(page, PAGE_SIZE)),
    listPopularTags(cache, SIDEBAR_TAGS),
  ])
  const { asset } = request.server
  const articles = articleList({ list, page, pageHref: withPage(request), asset, emptyHint: feed.emptyHint })
  return show(request, reply, homePage(request, feed, articles, tags))
}

async function listOf(request: FastifyRequest, feed: Feed, paging: Paging): Promise<ArticleList> {
  const viewer = request.visitor?.id ?? null
  if (feed.following && viewer !== null) return listFeed(cacheOf(request), viewer, paging)
  return listArticles(cacheOf(request), feed.filter ?? {}, paging, viewer)
}

function homePage(request: FastifyRequest, feed: Feed, articles: Html, tags: readonly string[]): Page {
  const content = html`<div class="home-page">
    ${!request.visitor && banner}
    <div class="container page columns">
      <div class="main-column">${tabs(feedTabs(request, feed))}${articles}</div>
      <aside class="sidebar">
        <h2>Popular Tags</h2>
        ${sidebarTags(tags)}
      </aside>
    </div>
  </div>`
  return { title: feed.title, place: 'home', content }
}

const banner = html`<div class="banner">
  <div class="container">
    <h1 class="logo-font">conduit</h1>
    <p>A place to share your knowledge.</p>
  </div>
</div>`

function feedTabs(request: FastifyRequest, feed: Feed): Tab[] {
  const result: Tab[] = []
  if (request.visitor) result.push({ href: '/?feed=following', text: 'Your Feed', active: feed.following === true })
  result.push({ href: '/', text: 'Global Feed', active: !feed.following && feed.tag === undefined })
  if (feed.tag !== undefined) {
    result.push({ href: tagPath(feed.tag), text: html`${icon('pound')} ${feed.tag}`, active: true })
  }
  return result
}

function sidebarTags(tags: readonly string[]): Html {
  if (tags.length === 0) return html`<p class="sidebar-note">No tags are here... yet.</p>`
  return html`<div class="tag-list">
    ${tags.map((tag) => html`<a class="tag-default tag-pill" href="${tagPath(tag)}">${tag}</a>`)}
  </div>`
}
