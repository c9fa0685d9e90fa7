/** How the lists of everybody's articles look, those of the authors one follows, and those of a tag. */
import { type Tab, tabs } from './article-list.ts'
import { icon, tagPath } from './elements.ts'
import { type Html, html } from './html.ts'
import type { Page } from './layout.ts'
import { filledIn, type Part } from './parts.ts'

export const SIDEBAR_TAGS = 30

/** What a list is of: all articles, where nothing is said. */
export interface Feed {
  readonly tag?: string
  readonly following?: boolean
}

export interface HomeView {
  readonly feed: Feed
  readonly articles: Html
  readonly tags: readonly string[]
  readonly signedIn: boolean
  readonly part?: Part
}

export function homePage({ feed, articles, tags, signedIn, part = filledIn }: HomeView): Page {
  const content = html`<div class="home-page">
    ${!signedIn && banner}
    <div class="container page columns">
      <div class="main-column">${tabs(feedTabs(feed, signedIn), 'feed-toggle', part)}${articles}</div>
      <aside class="sidebar">
        <h2>Popular Tags</h2>
        ${sidebarTags(tags)}
      </aside>
    </div>
  </div>`
  return { title: titleOf(feed), place: 'home', content }
}

function titleOf({ tag, following }: Feed): string {
  if (tag !== undefined) return `#${tag}`
  return following === true ? 'Your feed' : ''
}

const banner = html`<div class="banner">
  <div class="container">
    <h1 class="logo-font">conduit</h1>
    <p>A place to share your knowledge.</p>
  </div>
</div>`

export function feedTabs({ tag, following = false }: Feed, signedIn: boolean): Tab[] {
  const result: Tab[] = []
  if (signedIn) result.push({ href: '/?feed=following', text: 'Your Feed', active: following })
  result.push({ href: '/', text: 'Global Feed', active: !following && tag === undefined })
  if (tag !== undefined) result.push({ href: tagPath(tag), text: html`${icon('pound')} ${tag}`, active: true })
  return result
}

function sidebarTags(tags: readonly string[]): Html {
  if (tags.length === 0) return html`<p class="sidebar-note">No tags are here... yet.</p>`
  return html`<div class="tag-list">
    ${tags.map((tag) => html`<a class="tag-default tag-pill" href="${tagPath(tag)}">${tag}</a>`)}
  </div>`
}
