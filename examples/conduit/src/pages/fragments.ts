/**
 * `/fragments/…`: what a baked page shows to somebody who is signed in. Each answer holds the parts of one page, by name;
 * a part that it has not is the same for them as for everybody. Who is not signed in gets 401, and the script in the page
 * asks no more.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { articlesSeenBy } from '../domain/articles.ts'
import { listComments } from '../domain/comments.ts'
import { notFound } from '../refusal.ts'
import { cacheOf } from '../requests.ts'
import { favoriteHeart, tabItems } from './article-list.ts'
import { actions, commentEntry, commentOptions } from './article-page.ts'
import { articleAt, type ArticleRoute } from './articles.ts'
import { feedTabs } from './home-page.ts'
import { accountLinks, type Place } from './layout.ts'
import { type Fragment, renderFragments } from './parts.ts'
import { profileAction } from './profile-page.ts'
import { profileAt, type ProfileRoute } from './profiles.ts'
import { visitorOf } from './visits.ts'

interface ListQuery {
  readonly articles?: unknown
  readonly tag?: unknown
}

export function fragmentRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeKnown }

  pages.get('/fragments/account', signedIn, (request, reply) => answer(reply, [account(request, 'other')]))

  pages.get<{ Querystring: ListQuery }>('/fragments/home', signedIn, async (request, reply) => {
    const { tag, articles } = request.query
    const feed = typeof tag === 'string' ? { tag } : {}
    const tabs = { name: 'tabs', content: tabItems(feedTabs(feed, true)) }
    return answer(reply, [account(request, 'home'), tabs, ...(await favorites(request, articles))])
  })

  pages.get<ArticleRoute>('/fragments/article/:slug', signedIn, async (request, reply) => {
    const visitor = visitorOf(request)
    const { asset } = request.server
    const article = await articleAt(request)
    const comments = await listComments(cacheOf(request), article.id, visitor.id)
    const own = comments.filter(({ author }) => author.id === visitor.id)
    return answer(reply, [
      account(request, 'other'),
      { name: 'actions', content: actions({ article, visitor }) },
      { name: 'comment-entry', content: commentEntry({ article, visitor, asset }) },
      ...own.map(({ id }) => ({ name: `comment-${id}`, content: commentOptions(article.slug, id) })),
    ])
  })

  pages.get<ProfileRoute & { Querystring: ListQuery }>(
    '/fragments/profile/:username',
    signedIn,
    async (request, reply) => {
      const profile = await profileAt(request)
      const own = profile.id === visitorOf(request).id
      return answer(reply, [
        account(request, own ? 'profile' : 'other'),
        { name: 'profile-action', content: profileAction(profile, own) },
        ...(await favorites(request, request.query.articles)),
      ])
    },
  )
}

/** The address of the fragment of a list: it names the articles whose hearts may be the reader's. */
export function listFragment(path: string, articles: readonly { readonly id: number }[], tag?: string): string {
  const query = new URLSearchParams({ articles: articles.map(({ id }) => id).join('-') })
  if (tag !== undefined) query.set('tag', tag)
  return `${path}?${query.toString()}`
}

async function mustBeKnown(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (request.sessionError) throw request.sessionError
  if (!request.visitor) await reply.status(401).type('text/plain; charset=utf-8').send('Nobody is signed in.\n')
}

function account(request: FastifyRequest, place: Place): Fragment {
  return { name: 'account', content: accountLinks(place, visitorOf(request), request.server.asset) }
}

/** The hearts of those articles that are among the visitor's favourites: the others look to them as to everybody. */
async function favorites(request: FastifyRequest, articles: unknown): Promise<Fragment[]> {
  const seen = await articlesSeenBy(cacheOf(request), visitorOf(request).id, idsIn(articles))
  const liked = seen.filter(({ favorited }) => favorited)
  return liked.map((article) => ({ name: `favorite-${article.id}`, content: favoriteHeart(article) }))
}

/** So many stand on a page. */
const IDS = /^(?:[1-9]\d{0,8}(?:-[1-9]\d{0,8}){0,9})?$/

function idsIn(articles: unknown): number[] {
  if (typeof articles !== 'string' || !IDS.test(articles)) throw notFound('route')
  return articles === '' ? [] : articles.split('-').map(Number)
}

function answer(reply: FastifyReply, fragments: readonly Fragment[]): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(renderFragments(fragments))
}
