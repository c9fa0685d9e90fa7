/** `/article/:slug`, baked: the article with its comments. */
import { findArticle } from '../domain/articles.ts'
import { listComments } from '../domain/comments.ts'
import { isStorable } from '../input.ts'
import { definePage } from '../objects/define.ts'
import { articlePage } from '../pages/article-page.ts'
import { articlePath } from '../pages/elements.ts'
import type { Reading } from '../reading.ts'
import { notFound } from '../refusal.ts'
import { asset, bake, type Made, shared } from './bake.ts'

export const article = definePage({
  ...shared,
  path: '/article/:slug',
  params: async ({ main }) => await main.selectFrom('articles').select('slug').execute(),
  render: (tools, { slug }) => bake(tools, (reading) => makeArticle(reading, slug)),
})

async function makeArticle(reading: Reading, slug: string): Promise<Made> {
  const found = isStorable(slug) ? await findArticle(reading, slug, null) : undefined
  if (!found) throw notFound('article')
  const comments = await listComments(reading, found.id, null)
  return {
    fragments: `/fragments${articlePath(slug)}`,
    page: (part) => articlePage({ article: found, comments, visitor: null, asset, part }),
  }
}
