/**
 * Users' Markdown as HTML that cannot act: marked renders, sanitize-html lets only a list of harmless elements
 * through. Headings stay as they were written: others' clients and tests look for them.
 */
import { createContext, Script } from 'node:vm'
import { Marked } from 'marked'
import sanitize from 'sanitize-html'
import { html, type Html, trusted } from './html.ts'

const marked = new Marked({ gfm: true, breaks: false, async: false })

const RULES: sanitize.IOptions = {
  allowedTags: [
    ...[
      'h1',
      'h2',
      'h3',
      'h4',
      'h5',
      'h6',
      'p',
      'blockquote',
      'hr',
      'br',
      'pre',
      'code',
      'ul',
      'ol',
      'li',
      'del',
      'ins',
    ],
    ...['strong', 'b', 'em', 'i', 'a', 'img', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'sup', 'sub', 'kbd'],
  ],
  allowedAttributes: {
    a: ['href', 'title', 'rel'],
    img: ['src', 'alt', 'title', 'loading'],
    ol: ['start'],
    th: ['align'],
    td: ['align'],
  },
  allowedSchemes: ['http', 'https', 'mailto'],
  allowedSchemesByTag: { img: ['http', 'https'] },
  allowProtocolRelative: false,
  disallowedTagsMode: 'discard',
  transformTags: {
    a: sanitize.simpleTransform('a', { rel: 'nofollow noopener ugc' }),
    img: sanitize.simpleTransform('img', { loading: 'lazy' }),
  },
}

/** What cannot be rendered in time stays as it was written. */
const ARTICLE_MS = 300
const COMMENTS_MS = 150
/** So little is rendered before a watch on it could be set. */
const HARMLESS_LENGTH = 2000

export function renderArticle(markdown: string): Html {
  return renderWithin([markdown], ARTICLE_MS)[0] ?? asWritten(markdown)
}

/** All the comments of a page: together they have no more time than one of them would. */
export function renderComments(texts: readonly string[]): Html[] {
  return renderWithin(texts, COMMENTS_MS)
}

/**
 * Few characters can keep any Markdown renderer busy for minutes, or nest deeper than the stack. Nobody's text may hold
 * up everybody else's requests, and the clone with them: rendering is cut off when its time is over.
 */
function renderWithin(texts: readonly string[], withinMs: number): Html[] {
  const rendered: Html[] = []
  const work = (): void => {
    while (rendered.length < texts.length) rendered.push(render(texts[rendered.length] ?? ''))
  }
  const length = texts.reduce((sum, text) => sum + text.length, 0)
  if (length <= HARMLESS_LENGTH) work()
  else cutOff(work, withinMs)
  return texts.map((text, index) => rendered[index] ?? asWritten(text))
}

function render(markdown: string): Html {
  try {
    return trusted(sanitize(marked.parse(markdown, { async: false }), RULES))
  } catch {
    return asWritten(markdown)
  }
}

/** Only a script can be given a time: this one does nothing but call what stands in its surroundings. */
const surroundings: { work: () => void } = { work: () => undefined }
const context = createContext(surroundings)
const script = new Script('work()')

/** Runs `work`; throws nothing if its time is over before its end. */
function cutOff(work: () => void, withinMs: number): void {
  surroundings.work = work
  try {
    script.runInContext(context, { timeout: withinMs })
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
  } finally {
    surroundings.work = () => undefined
  }
}

function asWritten(text: string): Html {
  return html`<pre>${text}</pre>`
}
