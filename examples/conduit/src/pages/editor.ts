/** `/editor` and `/editor/:slug`: writing and changing articles. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Article, type NewArticle, publishArticle, updateArticle } from '../domain/articles.ts'
import { Input } from '../input.ts'
import { ARTICLE_BODY, DESCRIPTION, TITLE } from '../limits.ts'
import { forbidden, type Messages } from '../refusal.ts'
import { databaseOf } from '../requests.ts'
import { articleAt, type ArticleRoute } from './articles.ts'
import { articlePath, errorMessages, icon } from './elements.ts'
import { field, readForm, refusingWith } from './forms.ts'
import { type Html, html } from './html.ts'
import type { Page } from './layout.ts'
import { mustBeSignedIn, show, visitorOf } from './visits.ts'

/** What stands in the form. */
interface Draft {
  readonly title: string
  readonly description: string
  readonly body: string
  readonly tagList: readonly string[]
}

const EMPTY: Draft = { title: '', description: '', body: '', tagList: [] }

export function editorRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  pages.get('/editor', signedIn, (request, reply) => show(request, reply, editorPage('/editor', EMPTY)))

  pages.post('/editor', signedIn, async (request, reply) => {
    const { input, draft } = readDraft(request.body)
    return refusingWith(
      async () => {
        const slug = await publishArticle(databaseOf(request), visitorOf(request).id, readArticle(input, draft))
        return reply.redirect(articlePath(slug), 303)
      },
      ({ status, errors }) => show(request, reply, editorPage('/editor', draft, errors), status),
    )
  })

  pages.get<ArticleRoute>('/editor/:slug', signedIn, async (request, reply) => {
    const article = await ownArticleAt(request)
    return show(request, reply, editorPage(`/editor/${encodeURIComponent(article.slug)}`, article))
  })

  pages.post<ArticleRoute>('/editor/:slug', signedIn, async (request, reply) => {
    const article = await ownArticleAt(request)
    const { input, draft } = readDraft(request.body)
    const address = `/editor/${encodeURIComponent(article.slug)}`
    return refusingWith(
      async () => {
        const slug = await updateArticle(databaseOf(request), article, readArticle(input, draft))
        return reply.redirect(articlePath(slug), 303)
      },
      ({ status, errors }) => show(request, reply, editorPage(address, draft, errors), status),
    )
  })
}

/** The article that the address names, if it is the visitor's own. */
export async function ownArticleAt(request: FastifyRequest<ArticleRoute>): Promise<Article> {
  const article = await articleAt(request)
  if (article.author.id !== visitorOf(request).id) throw forbidden('article')
  return article
}

/** Pills come as `tagList`; what still stands in the tag box when the form is sent counts too. */
function readDraft(body: unknown): { input: Input; draft: Draft } {
  const { typed, lists } = readForm(body)
  const boxed = (lists['tags'] ?? []).flatMap((text) => text.split(','))
  const tagList = [...(lists['tagList'] ?? []), ...boxed].map((tag) => tag.trim()).filter((tag) => tag !== '')
  const draft = {
    title: typed['title'] ?? '',
    description: typed['description'] ?? '',
    body: typed['body'] ?? '',
    tagList: [...new Set(tagList)],
  }
  return { input: new Input({ ...draft }), draft }
}

function readArticle(input: Input, draft: Draft): NewArticle {
  const article = {
    title: input.text('title', TITLE),
    description: input.text('description', DESCRIPTION),
    body: input.text('body', ARTICLE_BODY),
    tagList: input.tags('tagList') ?? draft.tagList,
  }
  input.verify()
  return article
}

function editorPage(action: string, draft: Draft, errors?: Messages): Page {
  const content = html`<div class="editor-page">
    <div class="container page medium">
      <h1 class="visually-hidden">${action === '/editor' ? 'New Article' : 'Edit Article'}</h1>
      ${errorMessages(errors)}
      <form method="post" action="${action}" novalidate>
        ${field('title', { placeholder: 'Article Title', value: draft.title, large: true })}
        ${field('description', { placeholder: "What's this article about?", value: draft.description })}
        ${field('body', { placeholder: 'Write your article (in markdown)', value: draft.body, rows: 14 })}
        <fieldset class="form-group tag-box" data-tag-box>
          <input
            class="form-control"
            name="tags"
            type="text"
            aria-label="Enter tags"
            placeholder="Enter tags"
            autocomplete="off"
          />
          <div class="tag-list">${draft.tagList.map(editablePill)}</div>
          <template>${editablePill('')}</template>
        </fieldset>
        <button type="submit" class="btn btn-lg btn-primary">Publish Article</button>
      </form>
    </div>
  </div>`
  return { title: draft.title || 'New article', place: 'editor', content, scripts: ['editor.js'] }
}

/** A tag that goes with the form, and whose icon takes it out again. */
function editablePill(tag: string): Html {
  return html`<span class="tag-default tag-pill"
    >${icon('close-round')}<span class="tag-name">${tag}</span><input type="hidden" name="tagList" value="${tag}"
  /></span>`
}
