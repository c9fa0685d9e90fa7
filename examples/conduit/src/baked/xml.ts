/** `/feed.xml` and `/sitemap.xml`, for programs. */
import { type ArticleSummary } from '../domain/articles.ts'
import { listArticles } from '../domain/article-lists.ts'
import { definePage } from '../objects/define.ts'
import { articlePath } from '../pages/elements.ts'
import { type Html, html } from '../pages/html.ts'
import { readingOf } from '../reading.ts'

const FEED_SIZE = 20
/** The most that a sitemap may name. */
const SITEMAP_SIZE = 50_000

/** Where the site is for others: their programs know no relative addresses. */
const ORIGIN = new URL(process.env['SITE_ORIGIN'] ?? 'http://127.0.0.1:8080').origin

export const feed = definePage({
  path: '/feed.xml',
  schedule: '0 * * * *',
  params: [{}],
  browser: '5m',
  render: async (tools) => {
    const { articles } = await listArticles(readingOf(tools), {}, { limit: FEED_SIZE, offset: 0 }, null)
    return xml('application/rss+xml', feedOf(articles))
  },
})

export const sitemap = definePage({
  path: '/sitemap.xml',
  schedule: '30 3 * * *',
  params: [{}],
  browser: '1h',
  render: async ({ main }) => {
    const newest = main.selectFrom('articles').select(['slug', 'updated_at']).orderBy('id', 'desc')
    return xml('application/xml', sitemapOf(await newest.limit(SITEMAP_SIZE - 1).execute()))
  },
})

function feedOf(articles: readonly ArticleSummary[]): Html {
  return html`<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/">
    <channel>
      <title>Conduit</title>
      <link>${ORIGIN}/</link>
      <description>A place to share your knowledge.</description>
      <language>en</language>
      <atom:link href="${ORIGIN}/feed.xml" rel="self" type="application/rss+xml" />
      ${articles.map(item)}
    </channel>
  </rss>`
}

function item({ slug, title, description, createdAt, author, tagList }: ArticleSummary): Html {
  const address = ORIGIN + articlePath(slug)
  return html`<item>
    <title>${title}</title>
    <link>${address}</link>
    <guid isPermaLink="true">${address}</guid>
    <description>${description}</description>
    <dc:creator>${author.username}</dc:creator>
    <pubDate>${createdAt.toUTCString()}</pubDate>
    ${tagList.map((tag) => html`<category>${tag}</category>`)}
  </item> `
}

function sitemapOf(articles: readonly { readonly slug: string; readonly updated_at: Date }[]): Html {
  const entries = articles.map(
    ({ slug, updated_at: changed }) =>
      html`<url><loc>${ORIGIN + articlePath(slug)}</loc><lastmod>${changed.toISOString()}</lastmod></url> `,
  )
  return html`<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
    <url><loc>${ORIGIN}/</loc></url>
    ${entries}
  </urlset>`
}

/** Titles may hold what XML may not, escaped or not: most control characters. */
const UNSPEAKABLE = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu

function xml(type: string, content: Html): Response {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n${content.toString().replace(UNSPEAKABLE, '')}\n`
  return new Response(text, { headers: { 'content-type': `${type}; charset=utf-8` } })
}
