/** `/`, `/?feed=following` and `/tag/:tag`: the articles of everybody, of those one follows, of one tag. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ArticleList, listArticles, listFeed, type Paging } from '../domain/article-lists.ts'
import { listPopularTags } from '../domain/tags.ts'
import { isStorable } from '../input.ts'
import { notFound } from '../refusal.ts'
import { cacheOf } from '../requests.ts'
import { articleList, PAGE_SIZE } from './article-list.ts'
import { type Feed, homePage, SIDEBAR_TAGS } from './home-page.ts'
import { html } from './html.ts'
import { pageNumber, pagingOf, withPage } from './paging.ts'
import { mustBeSignedIn, show } from './visits.ts'

export function homeRoutes(pages: FastifyInstance): void {
  pages.get<{ Querystring: { feed?: unknown } }>('/', async (request, reply) => {
    if (request.query.feed !== 'following') return showFeed(request, reply, {})
    await mustBeSignedIn(request, reply)
    if (!request.visitor) return reply
    return showFeed(request, reply, { following: true })
  })

  pages.get<{ Params: { tag: string } }>('/tag/:tag', async (request, reply) => {
    const { tag } = request.params
    if (!isStorable(tag)) throw notFound('route')
    return showFeed(request, reply, { tag })
  })
}

async function showFeed(request: FastifyRequest, reply: FastifyReply, feed: Feed): Promise<unknown> {
  const page = pageNumber(request.query as object)
  const [list, tags] = await Promise.all([
    listOf(request, feed, pagingOf(page, PAGE_SIZE)),
    listPopularTags(cacheOf(request), SIDEBAR_TAGS),
  ])
  const { asset } = request.server
  const emptyHint =
    feed.following && html` Your feed is empty: follow some authors, or read the <a href="/">global feed</a>.`
  const articles = articleList({ list, page, pageHref: withPage(request.url), asset, emptyHint })
  return show(request, reply, homePage({ feed, articles, tags, signedIn: request.visitor !== null }))
}

async function listOf(request: FastifyRequest, feed: Feed, paging: Paging): Promise<ArticleList> {
  const viewer = request.visitor?.id ?? null
  if (feed.following && viewer !== null) return listFeed(cacheOf(request), viewer, paging)
  return listArticles(cacheOf(request), { tag: feed.tag }, paging, viewer)
}
