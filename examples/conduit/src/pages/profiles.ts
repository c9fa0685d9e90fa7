/** `/profile/:username` and `/profile/:username/favorites`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ArticleFilter, listArticles } from '../domain/article-lists.ts'
import { findProfile, follow, type FoundProfile, unfollow } from '../domain/profiles.ts'
import { isStorable } from '../input.ts'
import { notFound } from '../refusal.ts'
import { cacheOf, databaseOf, strictCacheOf } from '../requests.ts'
import { articleList, PAGE_SIZE } from './article-list.ts'
import { profilePath } from './elements.ts'
import { pageNumber, pagingOf, withPage } from './paging.ts'
import { profilePage } from './profile-page.ts'
import { pageBefore } from './page-before.ts'
import { mustBeSignedIn, show, visitorOf } from './visits.ts'

export interface ProfileRoute {
  Params: { username: string }
}

export function profileRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  pages.get<ProfileRoute>('/profile/:username', async (request, reply) => {
    const profile = await profileAt(request)
    return showProfile(request, reply, profile, { author: profile.username })
  })

  pages.get<ProfileRoute>('/profile/:username/favorites', async (request, reply) => {
    const profile = await profileAt(request)
    return showProfile(request, reply, profile, { favorited: profile.username })
  })

  pages.post<ProfileRoute>('/profile/:username/follow', signedIn, async (request, reply) => {
    const profile = await profileAt(request)
    await follow(databaseOf(request), visitorOf(request).id, profile.id)
    return reply.redirect(pageBefore(request) ?? profilePath(profile.username), 303)
  })

  pages.post<ProfileRoute>('/profile/:username/unfollow', signedIn, async (request, reply) => {
    const profile = await profileAt(request)
    await unfollow(databaseOf(request), visitorOf(request).id, profile.id)
    return reply.redirect(pageBefore(request) ?? profilePath(profile.username), 303)
  })
}

/** The profile that the address names; that it is missing is only believed at `strict`, as with articles. */
export async function profileAt(request: FastifyRequest<ProfileRoute>): Promise<FoundProfile> {
  const { username } = request.params
  const viewer = request.visitor?.id ?? null
  const profile = isStorable(username)
    ? ((await findProfile(cacheOf(request), username, viewer)) ??
      (await findProfile(strictCacheOf(request), username, viewer)))
    : undefined
  if (!profile) throw notFound('profile')
  return profile
}

async function showProfile(
  request: FastifyRequest,
  reply: FastifyReply,
  profile: FoundProfile,
  filter: ArticleFilter,
): Promise<unknown> {
  const { visitor } = request
  const { asset } = request.server
  const page = pageNumber(request.query as object)
  const list = await listArticles(cacheOf(request), filter, pagingOf(page, PAGE_SIZE), visitor?.id ?? null)
  const articles = articleList({ list, page, pageHref: withPage(request.url), asset })
  const favorites = filter.favorited !== undefined
  return show(request, reply, profilePage({ profile, own: visitor?.id === profile.id, favorites, articles, asset }))
}
