/** The API's shapes: what of the domain's values leaves the house. */
import type { ArticleList } from '../domain/article-lists.ts'
import type { Article, ArticleSummary } from '../domain/articles.ts'
import type { Comment } from '../domain/comments.ts'
import type { Profile } from '../domain/profiles.ts'
import type { User } from '../domain/users.ts'

export function presentUser(user: User, token: string): { user: object } {
  const { email, username, bio, image } = user
  return { user: { email, token, username, bio, image } }
}

export function presentProfile(profile: Profile): { profile: object } {
  return { profile: profileOf(profile) }
}

export function presentArticle(article: Article): { article: object } {
  return { article: { ...summaryOf(article), body: article.body } }
}

export function presentList({ articles, articlesCount }: ArticleList): { articles: object[]; articlesCount: number } {
  return { articles: articles.map(summaryOf), articlesCount }
}

export function presentComment(comment: Comment): { comment: object } {
  return { comment: commentOf(comment) }
}

export function presentComments(comments: readonly Comment[]): { comments: object[] } {
  return { comments: comments.map(commentOf) }
}

function profileOf({ username, bio, image, following }: Profile): object {
  return { username, bio, image, following }
}

function summaryOf({ id: _, author, ...shown }: ArticleSummary & { body?: string }): object {
  const { slug, title, description, tagList, createdAt, updatedAt, favorited, favoritesCount } = shown
  const times = { createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
  return { slug, title, description, tagList, ...times, favorited, favoritesCount, author: profileOf(author) }
}

function commentOf({ id, body, createdAt, updatedAt, author }: Comment): object {
  const times = { createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
  return { id, ...times, body, author: profileOf(author) }
}
