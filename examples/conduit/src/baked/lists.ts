/** `/`, `/tag/:tag` and profiles, baked: lists of articles, ten on a page. */
import { type ArticleFilter, type ArticleList, listArticles } from '../domain/article-lists.ts'
import { findProfile } from '../domain/profiles.ts'
import { listPopularTags } from '../domain/tags.ts'
import { isStorable } from '../input.ts'
import { definePage } from '../objects/define.ts'
import { articleList, PAGE_SIZE } from '../pages/article-list.ts'
import { profilePath } from '../pages/elements.ts'
import { listFragment } from '../pages/fragments.ts'
import { type Feed, homePage, SIDEBAR_TAGS } from '../pages/home-page.ts'
import { pageNumber, pagingOf, withPage } from '../pages/paging.ts'
import type { Part } from '../pages/parts.ts'
import type { Html } from '../pages/html.ts'
import { profilePage } from '../pages/profile-page.ts'
import type { Reading } from '../reading.ts'
import { notFound } from '../refusal.ts'
import { asset, bake, type Made, shared, type Tools } from './bake.ts'

/** Of longer lists, the further pages are baked when somebody asks. */
const listed = { ...shared, query: ['page'] } as const

export const home = definePage({
  ...listed,
  path: '/',
  params: [{}],
  render: (tools) => bake(tools, (reading) => makeFeed(tools, reading, {})),
})

export const tag = definePage({
  ...listed,
  path: '/tag/:tag',
  params: async ({ main }) => await main.selectFrom('tags').select('name as tag').execute(),
  render: (tools, { tag: name }) =>
    bake(tools, (reading) => {
      if (!isStorable(name)) throw notFound('route')
      return makeFeed(tools, reading, { tag: name })
    }),
})

export const profile = definePage({
  ...listed,
  path: '/profile/:username',
  params: async ({ main }) => await main.selectFrom('users').select('username').execute(),
  render: (tools, { username }) => bake(tools, (reading) => makeProfile(tools, reading, username, false)),
})

export const profileFavorites = definePage({
  ...listed,
  path: '/profile/:username/favorites',
  render: (tools, { username }) => bake(tools, (reading) => makeProfile(tools, reading, username, true)),
})

interface Listed {
  readonly list: ArticleList
  readonly articles: (part: Part) => Html
}

async function readList({ query, url }: Tools, reading: Reading, filter: ArticleFilter): Promise<Listed> {
  const page = pageNumber(query)
  const list = await listArticles(reading, filter, pagingOf(page, PAGE_SIZE), null)
  return { list, articles: (part) => articleList({ list, page, pageHref: withPage(url), asset, part }) }
}

async function makeFeed(tools: Tools, reading: Reading, feed: Feed): Promise<Made> {
  const [{ list, articles }, tags] = await Promise.all([
    readList(tools, reading, { tag: feed.tag }),
    listPopularTags(reading, SIDEBAR_TAGS),
  ])
  return {
    fragments: listFragment('/fragments/home', list.articles, feed.tag),
    page: (part) => homePage({ feed, articles: articles(part), tags, signedIn: false, part }),
  }
}

async function makeProfile(tools: Tools, reading: Reading, username: string, favorites: boolean): Promise<Made> {
  const found = isStorable(username) ? await findProfile(reading, username, null) : undefined
  if (!found) throw notFound('profile')
  const filter = favorites ? { favorited: found.username } : { author: found.username }
  const { list, articles } = await readList(tools, reading, filter)
  return {
    fragments: listFragment(`/fragments${profilePath(found.username)}`, list.articles),
    page: (part) => profilePage({ profile: found, own: false, favorites, articles: articles(part), asset, part }),
  }
}
