/** `/api/articles`: lists, articles, favourites. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { listArticles, listFeed } from '../domain/article-lists.ts'
import {
  addFavorite,
  type Article,
  type ArticleChanges,
  deleteArticle,
  findArticle,
  type NewArticle,
  publishArticle,
  removeFavorite,
  updateArticle,
} from '../domain/articles.ts'
import { Input, isStorable } from '../input.ts'
import { ARTICLE_BODY, DESCRIPTION, TITLE } from '../limits.ts'
import { forbidden, notFound } from '../refusal.ts'
import { cacheOf, databaseOf } from '../requests.ts'
import { type Authentication, userOf, viewerOf } from './authentication.ts'
import { presentArticle, presentList } from './present.ts'
import { readFilter, readPaging } from './queries.ts'

export interface ArticleRoute {
  Params: { slug: string }
}

export function articleRoutes(api: FastifyInstance, authentication: Authentication): void {
  listRoutes(api, authentication)
  readAndWriteRoutes(api, authentication)
  favoriteRoutes(api, authentication)
}

function listRoutes(api: FastifyInstance, authentication: Authentication): void {
  api.get('/articles', { onRequest: authentication.optional }, async (request) => {
    const input = { filter: readFilter(request.query), paging: readPaging(request.query) }
    return presentList(await listArticles(cacheOf(request), input.filter, input.paging, viewerOf(request)))
  })

  api.get('/articles/feed', { onRequest: authentication.required }, async (request) => {
    const { id } = userOf(request)
    return presentList(await listFeed(cacheOf(request), id, readPaging(request.query)))
  })
}

function readAndWriteRoutes(api: FastifyInstance, authentication: Authentication): void {
  const signedIn = { onRequest: authentication.required }

  api.get<ArticleRoute>('/articles/:slug', { onRequest: authentication.optional }, async (request) =>
    presentArticle(await articleAt(request)),
  )

  api.post('/articles', signedIn, async (request, reply) => {
    const article = readNewArticle(request.body)
    const slug = await publishArticle(databaseOf(request), userOf(request).id, article)
    return reply.status(201).send(presentArticle(await existingArticle(request, slug)))
  })

  api.put<ArticleRoute>('/articles/:slug', signedIn, async (request) => {
    const article = await ownArticleAt(request)
    const slug = await updateArticle(databaseOf(request), article, readChanges(request.body))
    return presentArticle(await existingArticle(request, slug))
  })

  api.delete<ArticleRoute>('/articles/:slug', signedIn, async (request, reply) => {
    const article = await ownArticleAt(request)
    await deleteArticle(databaseOf(request), article.id)
    return reply.status(204).send()
  })
}

function favoriteRoutes(api: FastifyInstance, authentication: Authentication): void {
  const signedIn = { onRequest: authentication.required }

  api.post<ArticleRoute>('/articles/:slug/favorite', signedIn, async (request) => {
    const { id, slug } = await articleAt(request)
    await addFavorite(databaseOf(request), id, userOf(request).id)
    return presentArticle(await existingArticle(request, slug))
  })

  api.delete<ArticleRoute>('/articles/:slug/favorite', signedIn, async (request) => {
    const { id, slug } = await articleAt(request)
    await removeFavorite(databaseOf(request), id, userOf(request).id)
    return presentArticle(await existingArticle(request, slug))
  })
}

/** The article that the address names, or a 404. */
export async function articleAt(request: FastifyRequest<ArticleRoute>): Promise<Article> {
  return existingArticle(request, request.params.slug)
}

async function ownArticleAt(request: FastifyRequest<ArticleRoute>): Promise<Article> {
  const article = await articleAt(request)
  if (article.author.id !== userOf(request).id) throw forbidden('article')
  return article
}

async function existingArticle(request: FastifyRequest, slug: string): Promise<Article> {
  const article = isStorable(slug) ? await findArticle(cacheOf(request), slug, viewerOf(request)) : undefined
  if (!article) throw notFound('article')
  return article
}

function readNewArticle(body: unknown): NewArticle {
  const input = Input.within(body, 'article')
  const article = {
    title: input.text('title', TITLE),
    description: input.text('description', DESCRIPTION),
    body: input.text('body', ARTICLE_BODY),
    tagList: input.tags('tagList') ?? [],
  }
  input.verify()
  return article
}

function readChanges(body: unknown): ArticleChanges {
  const input = Input.changesWithin(body, 'article')
  const changes = {
    title: input.changedText('title', TITLE),
    description: input.changedText('description', DESCRIPTION),
    body: input.changedText('body', ARTICLE_BODY),
    tagList: input.tags('tagList'),
  }
  input.verify()
  return changes
}
