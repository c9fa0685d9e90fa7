/** What every page has around it: the head, the bar above, the line below. */
import type { User } from '../domain/users.ts'
import { type Asset, avatar, icon, profilePath } from './elements.ts'
import { type Content, type Html, html } from './html.ts'
import { filledIn, type Part } from './parts.ts'

/** Where a page is in the navigation. */
export type Place = 'home' | 'login' | 'register' | 'editor' | 'settings' | 'profile' | 'other'

export interface Page {
  readonly title: string
  readonly place: Place
  readonly content: Html
  readonly scripts?: readonly string[]
}

export interface Surroundings {
  readonly viewer: User | null
  /** On a page for everybody: what fills in its personal parts. Default: they are filled in already. */
  readonly part?: Part
  /** The address of a public file, with the hash of what is in it. */
  readonly asset: Asset
}

export function renderDocument(page: Page, { viewer, asset, part = filledIn }: Surroundings): string {
  const title = page.title === '' ? 'Conduit' : `${page.title} — Conduit`
  return html`<!doctype html>
    <html lang="en" ${viewer && html` data-fourfold-reader`}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <script src="${asset('fragments.js')}"></script>
        <link rel="icon" href="${asset('icon.svg')}" type="image/svg+xml" />
        <link rel="stylesheet" href="${asset('style.css')}" />
        ${page.scripts?.map((file) => html`<script src="${asset(file)}" type="module"></script>`)}
      </head>
      <body>
        <a class="skip-link" href="#content">Skip to content</a>
        <nav class="navbar">
          <div class="container">
            <a class="navbar-brand" href="/">conduit</a>
            <ul class="nav navbar-nav" ${part('account')}>
              ${accountLinks(page.place, viewer, asset)}
            </ul>
          </div>
        </nav>
        <main id="content">${page.content}</main>
        <footer>
          <div class="container">
            <a class="logo-font" href="/">conduit</a
            ><span class="attribution"
              >An interactive example of Fourfold: one app on many clones, and every read as fresh as its reader.</span
            ><a href="/digest">Day by day</a>
          </div>
        </footer>
      </body>
    </html> `.toString()
}

/** The links in the bar. */
export function accountLinks(place: Place, viewer: User | null, asset: Asset): Html {
  const links = viewer ? userLinks(place, viewer, asset) : visitorLinks(place)
  return html`${link('/', 'Home', place === 'home')} ${links}`
}

function visitorLinks(place: Place): Content {
  return [link('/login', 'Sign in', place === 'login'), link('/register', 'Sign up', place === 'register')]
}

function userLinks(place: Place, viewer: User, asset: Asset): Content {
  const name = html`${avatar(viewer, 'user-pic', asset)}<span>${viewer.username}</span>`
  return [
    link('/editor', html`${icon('compose')} New Article`, place === 'editor'),
    link('/settings', html`${icon('gear-a')} Settings`, place === 'settings'),
    link(profilePath(viewer.username), name, place === 'profile'),
  ]
}

function link(href: string, text: Content, active: boolean): Html {
  return html`<li class="nav-item">
    <a class="nav-link${active && ' active'}" href="${href}" ${active && html` aria-current="page"`}>${text}</a>
  </li> `
}
