/** `/api/articles/:slug/comments`. */
import type { FastifyInstance } from 'fastify'
import { addComment, deleteComment, findComment, listComments } from '../domain/comments.ts'
import { Input } from '../input.ts'
import { COMMENT_BODY } from '../limits.ts'
import { forbidden, notFound } from '../refusal.ts'
import { cacheOf, databaseOf } from '../requests.ts'
import { articleAt, type ArticleRoute } from './articles.ts'
import { type Authentication, userOf, viewerOf } from './authentication.ts'
import { presentComment, presentComments } from './present.ts'

interface CommentRoute extends ArticleRoute {
  Params: { slug: string; id: string }
}

export function commentRoutes(api: FastifyInstance, authentication: Authentication): void {
  const signedIn = { onRequest: authentication.required }

  api.get<ArticleRoute>('/articles/:slug/comments', { onRequest: authentication.optional }, async (request) => {
    const article = await articleAt(request)
    return presentComments(await listComments(cacheOf(request), article.id, viewerOf(request)))
  })

  api.post<ArticleRoute>('/articles/:slug/comments', signedIn, async (request, reply) => {
    const article = await articleAt(request)
    const author = userOf(request)
    const id = await addComment(databaseOf(request), article.id, author.id, readBody(request.body))
    const comment = await findComment(cacheOf(request), article.id, id, author.id)
    if (!comment) throw notFound('comment')
    return reply.status(201).send(presentComment(comment))
  })

  api.delete<CommentRoute>('/articles/:slug/comments/:id', signedIn, async (request, reply) => {
    const article = await articleAt(request)
    const id = commentId(request.params.id)
    const comment = id === null ? undefined : await findComment(cacheOf(request), article.id, id, null)
    if (!comment) throw notFound('comment')
    if (comment.author.id !== userOf(request).id) throw forbidden('comment')
    await deleteComment(databaseOf(request), comment.id)
    return reply.status(204).send()
  })
}

/** The id that a piece of an address names; null where no comment could have it. */
export function commentId(text: string): number | null {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : 0
  return id > 0 && id < 2 ** 31 ? id : null
}

function readBody(body: unknown): string {
  const input = Input.within(body, 'comment')
  const text = input.text('body', COMMENT_BODY)
  input.verify()
  return text
}
