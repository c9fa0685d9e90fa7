/**
 * Users' Markdown as HTML that cannot act: marked renders, sanitize-html lets only a list of harmless elements
 * through. Headings move down one step, because the page's one `h1` is the article's title.
 */
import { Marked } from 'marked'
import sanitize from 'sanitize-html'
import { type Html, trusted } from './html.ts'

const marked = new Marked({ gfm: true, breaks: false, async: false })

const RULES: sanitize.IOptions = {
  allowedTags: [
    ...['h2', 'h3', 'h4', 'h5', 'h6', 'p', 'blockquote', 'hr', 'br', 'pre', 'code', 'ul', 'ol', 'li', 'del', 'ins'],
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
    h1: 'h2',
    h2: 'h3',
    h3: 'h4',
    h4: 'h5',
    h5: 'h6',
    a: sanitize.simpleTransform('a', { rel: 'nofollow noopener ugc' }),
    img: sanitize.simpleTransform('img', { loading: 'lazy' }),
  },
}

export function renderMarkdown(markdown: string): Html {
  return trusted(sanitize(marked.parse(markdown, { async: false }), RULES))
}
