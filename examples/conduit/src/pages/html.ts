/**
 * HTML by tagged templates: whatever is put in is escaped, unless it is {@link Html} itself. Lists are joined; null,
 * undefined and false leave nothing, so that `${condition && html`…`}` reads as it should.
 */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

export type Content = Html | string | number | null | undefined | false | readonly Content[]

export function html(parts: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(parts.reduce((text, part, index) => text + render(contents[index - 1]) + part))
}

/** Text that is HTML already: from the sanitiser, and nowhere else. */
export function trusted(text: string): Html {
  return new Html(text)
}

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return ''
  if (content instanceof Html) return content.toString()
  if (typeof content === 'object') return content.map(render).join('')
  return escapeText(String(content))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
}
