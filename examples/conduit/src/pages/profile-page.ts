/** How a profile looks. */
import type { Profile } from '../domain/profiles.ts'
import { tabs } from './article-list.ts'
import { actionForm, type Asset, icon, portrait, profilePath } from './elements.ts'
import { type Html, html } from './html.ts'
import type { Page } from './layout.ts'
import { filledIn, type Part } from './parts.ts'

export interface ProfileView {
  readonly profile: Profile
  /** Whether it is the visitor's own. */
  readonly own: boolean
  /** Whether the favourites are shown, instead of what the user wrote. */
  readonly favorites: boolean
  readonly articles: Html
  readonly asset: Asset
  readonly part?: Part
}

export function profilePage({ profile, own, favorites, articles, asset, part = filledIn }: ProfileView): Page {
  const path = profilePath(profile.username)
  const shown = tabs(
    [
      { href: path, text: 'My Articles', active: !favorites },
      { href: `${path}/favorites`, text: 'Favorited Articles', active: favorites },
    ],
    'articles-toggle feed-toggle',
  )
  const content = html`<div class="profile-page">
    <div class="user-info">
      <div class="container medium">
        ${portrait(profile, 'user-img', asset)}
        <h4>${profile.username}</h4>
        <p>${profile.bio}</p>
        <div class="profile-action" ${part('profile-action')}>${profileAction(profile, own)}</div>
      </div>
    </div>
    <div class="container page medium">${shown}${articles}</div>
  </div>`
  return { title: profile.username, place: own ? 'profile' : 'other', content }
}

export function profileAction(profile: Profile, own: boolean): Html {
  return own ? settingsLink : followButton(profile)
}

const settingsLink = html`<a class="btn btn-sm btn-outline-secondary action-btn" href="/settings"
  >${icon('gear-a')} Edit Profile Settings</a
>`

export function followButton({ username, following }: Profile): Html {
  const path = profilePath(username)
  return following
    ? actionForm(`${path}/unfollow`, 'btn btn-sm btn-secondary action-btn', html`${icon('minus-round')} Unfollow`)
    : actionForm(`${path}/follow`, 'btn btn-sm btn-outline-secondary action-btn', html`${icon('plus-round')} Follow`)
}
