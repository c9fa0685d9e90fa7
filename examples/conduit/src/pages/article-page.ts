/** How an article looks: its head with what one may do, its text, the comments. */
import type { Article, ArticleSummary } from '../domain/articles.ts'
import type { Comment } from '../domain/comments.ts'
import type { User } from '../domain/users.ts'
import type { Messages } from '../refusal.ts'
import { authorBlock } from './article-list.ts'
import {
  actionForm,
  articlePath,
  type Asset,
  avatar,
  date,
  errorMessages,
  icon,
  profilePath,
  tagPills,
} from './elements.ts'
import { field } from './forms.ts'
import { type Content, type Html, html } from './html.ts'
import type { Page } from './layout.ts'
import { renderArticle, renderComments } from './markdown.ts'
import { filledIn, type Part } from './parts.ts'
import { followButton } from './profile-page.ts'

export interface ArticleView {
  readonly article: Article
  readonly comments: readonly Comment[]
  readonly visitor: User | null
  readonly asset: Asset
  readonly part?: Part
  readonly rejected?: { readonly body: string; readonly errors: Messages } | undefined
}

export function articlePage(view: ArticleView): Page {
  const { article, comments, part = filledIn } = view
  const texts = renderComments(comments.map(({ body }) => body))
  const content = html`<div class="article-page">
    <div class="banner">
      <div class="container medium">
        <h1>${article.title}</h1>
        <div class="article-meta">
          ${authorBlock(article, view.asset)}
          <div class="actions" ${part('actions')}>${actions(view)}</div>
        </div>
      </div>
    </div>
    <div class="container page medium">
      <div class="article-content">${renderArticle(article.body)}</div>
      ${article.tagList.length > 0 && tagPills(article.tagList)}
      <section class="comments" aria-label="Comments">
        <div class="comment-entry" ${part('comment-entry')}>${commentEntry(view)}</div>
        ${comments.map((comment, index) => commentCard(comment, texts[index], view))}
      </section>
    </div>
  </div>`
  return { title: article.title, place: 'other', content }
}

/** What one may do with the article: the author another thing than everybody else. */
export function actions({ article, visitor }: { article: ArticleSummary; visitor: User | null }): Html {
  const path = articlePath(article.slug)
  if (visitor?.id === article.author.id) {
    const edit = `/editor/${encodeURIComponent(article.slug)}`
    return html`<a class="btn btn-sm btn-outline-secondary" href="${edit}">${icon('edit')} Edit Article</a>
      ${actionForm(`${path}/delete`, 'btn btn-sm btn-outline-danger', html`${icon('trash-a')} Delete Article`)}`
  }
  return html`${followButton(article.author)} ${article.favorited ? unfavorite(article, path) : favorite(article, path)}`
}

function favorite({ favoritesCount }: ArticleSummary, path: string): Html {
  const text = html`${icon('heart')} Favorite Article <span class="counter">(${favoritesCount})</span>`
  return actionForm(`${path}/favorite`, 'btn btn-sm btn-outline-primary', text)
}

function unfavorite({ favoritesCount }: ArticleSummary, path: string): Html {
  const text = html`${icon('heart')} Unfavorite Article <span class="counter">(${favoritesCount})</span>`
  return actionForm(`${path}/unfavorite`, 'btn btn-sm btn-primary', text)
}

/** Straight to the form's first field: whoever came down here has read enough of the page. */
const signInHint = html`<p class="sign-in-hint">
  <a href="/login#field-email">Sign in</a> or <a href="/register">sign up</a> to add comments on this article.
</p>`

type EntryView = Pick<ArticleView, 'visitor' | 'asset' | 'rejected'> & { readonly article: { readonly slug: string } }

/** Where a comment is written. */
export function commentEntry({ article, visitor, asset, rejected }: EntryView): Html {
  if (!visitor) return signInHint
  return html`${errorMessages(rejected?.errors)}
    <form class="card comment-form" method="post" action="${articlePath(article.slug)}" novalidate>
      <div class="card-block">
        ${field('body', { placeholder: 'Write a comment...', value: rejected?.body, rows: 3 })}
      </div>
      <div class="card-footer">
        ${avatar(visitor, 'comment-author-img', asset)}<button type="submit" class="btn btn-sm btn-solid">
          Post Comment
        </button>
      </div>
    </form>`
}

function commentCard(comment: Comment, text: Content, view: ArticleView): Html {
  const { id, author, createdAt } = comment
  const { article, visitor, asset, part = filledIn } = view
  const own = visitor?.id === author.id
  return html`<div class="card">
    <div class="card-block"><div class="card-text">${text}</div></div>
    <div class="card-footer">
      <a class="comment-author" href="${profilePath(author.username)}" tabindex="-1" aria-hidden="true"
        >${avatar(author, 'comment-author-img', asset)}</a
      >
      <span class="comment-info"
        ><a class="comment-author" href="${profilePath(author.username)}">${author.username}</a
        >${date(createdAt, 'date-posted')}</span
      >
      <span class="comment-options" ${part(`comment-${id}`)}>${own && commentOptions(article.slug, id)}</span>
    </div>
  </div> `
}

/** What the author of a comment may do with it. */
export function commentOptions(slug: string, id: number): Html {
  const bin = html`${icon('trash-a')}<span class="visually-hidden">Delete comment</span>`
  const remove = `${articlePath(slug)}/comments/${id}/delete`
  return html`<span class="mod-options">${actionForm(remove, 'btn-icon', bin)}</span>`
}
