/**
 * Users' Markdown as HTML that cannot act: marked renders, sanitize-html lets only a list of harmless elements
 * through. Headings stay as they were written: others' clients and tests look for them.
 */
import { Marked } from 'marked'
import sanitize from 'sanitize-html'
import { type Html, trusted } from './html.ts'

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

export function renderMarkdown(markdown: string): Html {
  return trusted(sanitize(marked.parse(markdown, { async: false }), RULES))
}
