/** The small pieces that pages share. */
import type { Messages } from '../refusal.ts'
import { type Content, type Html, html } from './html.ts'

export type Asset = (file: string) => string

export const profilePath = (username: string): string => `/profile/${encodeURIComponent(username)}`
export const articlePath = (slug: string): string => `/article/${encodeURIComponent(slug)}`
export const tagPath = (tag: string): string => `/tag/${encodeURIComponent(tag)}`

/** An icon of the app's own set, drawn by the style sheet. */
export function icon(name: string): Html {
  return html`<i class="ion-${name}" aria-hidden="true"></i>`
}

/** A user's picture in small, as soon as there is one, or the common one where they have none that a page may show. */
export function avatar({ image, thumbnail }: Pictured, className: string, asset: Asset): Html {
  return portrait({ image: thumbnail ?? image }, className, asset)
}

interface Pictured {
  readonly image: string | null
  readonly thumbnail?: string | null
}

/** A user's picture as it was sent. */
export function portrait({ image }: Pick<Pictured, 'image'>, className: string, asset: Asset): Html {
  const source = isPicture(image) ? image : asset('default-avatar.svg')
  return html`<img class="${className}" src="${source}" alt="" referrerpolicy="no-referrer" />`
}

function isPicture(image: string | null): image is string {
  return image !== null && /^(?:https?:\/\/|\/(?!\/))/i.test(image)
}

/** What was wrong with a form, above it. */
export function errorMessages(errors: Messages | undefined): Content {
  const lines = Object.entries(errors ?? {}).flatMap(([field, messages]) =>
    messages.map((text) => sentence(field, text)),
  )
  if (lines.length === 0) return null
  return html`<ul class="error-messages" role="alert">
    ${lines.map((line) => html`<li>${line}</li>`)}
  </ul>`
}

function sentence(field: string, message: string): string {
  if (field === 'credentials') return 'email or password is invalid'
  return `${field} ${message}`
}

/** A form that is only a button. */
export function actionForm(action: string, className: string, content: Content): Html {
  return html`<form class="action-form" method="post" action="${action}">
    <button type="submit" class="${className}">${content}</button>
  </form>`
}

export function tagPills(tags: readonly string[]): Html {
  return html`<ul class="tag-list">
    ${tags.map((tag) => html`<li class="tag-default tag-pill tag-outline">${tag}</li>`)}
  </ul>`
}

const DAY = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' })

export function date(value: Date, className = 'date'): Html {
  return html`<time class="${className}" datetime="${value.toISOString()}">${DAY.format(value)}</time>`
}
