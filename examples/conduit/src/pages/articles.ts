/** `/article/:slug`: an article, its favourites and its comments. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addFavorite, type Article, deleteArticle, findArticle, removeFavorite } from '../domain/articles.ts'
import { addComment, deleteComment, findComment, listComments } from '../domain/comments.ts'
import { isStorable } from '../input.ts'
import { COMMENT_BODY } from '../limits.ts'
import { forbidden, type Messages, notFound } from '../refusal.ts'
import { cacheOf, databaseOf, strictCacheOf } from '../requests.ts'
import { commentId } from '../api/comments.ts'
import { articlePage } from './article-page.ts'
import { articlePath } from './elements.ts'
import { readForm, refusingWith } from './forms.ts'
import { pageBefore } from './page-before.ts'
import { mustBeSignedIn, show, visitorOf } from './visits.ts'

export interface ArticleRoute {
  Params: { slug: string }
}

interface CommentRoute extends ArticleRoute {
  Params: { slug: string; id: string }
}

export function articleRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  pages.get<ArticleRoute>('/article/:slug', async (request, reply) =>
    showArticle(request, reply, await articleAt(request)),
  )

  pages.post<ArticleRoute>('/article/:slug/delete', signedIn, async (request, reply) => {
    const article = await articleAt(request)
    if (article.author.id !== visitorOf(request).id) throw forbidden('article')
    await deleteArticle(databaseOf(request), article.id)
    return reply.redirect('/', 303)
  })

  pages.post<ArticleRoute>('/article/:slug/favorite', signedIn, async (request, reply) => {
    const { id, slug } = await articleAt(request)
    await addFavorite(databaseOf(request), id, visitorOf(request).id)
    return reply.redirect(pageBefore(request) ?? articlePath(slug), 303)
  })

  pages.post<ArticleRoute>('/article/:slug/unfavorite', signedIn, async (request, reply) => {
    const { id, slug } = await articleAt(request)
    await removeFavorite(databaseOf(request), id, visitorOf(request).id)
    return reply.redirect(pageBefore(request) ?? articlePath(slug), 303)
  })

  commentRoutes(pages)
}

function commentRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  // A comment is posted to the article's own address, so that a rejected one stays there.
  pages.post<ArticleRoute>('/article/:slug', signedIn, async (request, reply) => {
    const article = await articleAt(request)
    const { input, typed } = readForm(request.body)
    return refusingWith(
      async () => {
        const body = input.text('body', COMMENT_BODY)
        input.verify()
        await addComment(databaseOf(request), article.id, visitorOf(request).id, body)
        return reply.redirect(articlePath(article.slug), 303)
      },
      ({ status, errors }) => showArticle(request, reply, article, { body: typed['body'] ?? '', errors, status }),
    )
  })

  pages.post<CommentRoute>('/article/:slug/comments/:id/delete', signedIn, async (request, reply) => {
    const article = await articleAt(request)
    const id = commentId(request.params.id)
    const comment = id === null ? undefined : await findComment(strictCacheOf(request), article.id, id, null)
    if (!comment) throw notFound('comment')
    if (comment.author.id !== visitorOf(request).id) throw forbidden('comment')
    await deleteComment(databaseOf(request), comment.id)
    return reply.redirect(articlePath(article.slug), 303)
  })
}

/**
 * The article that the address names. An address may be newer than the replica that is asked first (somebody sent
 * the link a moment ago), so that it is missing is only believed at `strict`.
 */
export async function articleAt(request: FastifyRequest<ArticleRoute>): Promise<Article> {
  const { slug } = request.params
  const viewer = request.visitor?.id ?? null
  const article = isStorable(slug)
    ? ((await findArticle(cacheOf(request), slug, viewer)) ?? (await findArticle(strictCacheOf(request), slug, viewer)))
    : undefined
  if (!article) throw notFound('article')
  return article
}

interface RejectedComment {
  readonly body: string
  readonly errors: Messages
  readonly status: number
}

async function showArticle(
  request: FastifyRequest,
  reply: FastifyReply,
  article: Article,
  rejected?: RejectedComment,
): Promise<unknown> {
  const { visitor } = request
  const comments = await listComments(cacheOf(request), article.id, visitor?.id ?? null)
  const view = { article, comments, visitor, asset: request.server.asset, rejected }
  return show(request, reply, articlePage(view), rejected?.status)
}
