/**
 * Runs in browsers: fetches what is personal on a page that is otherwise the same for everybody.
 *
 * - An element `data-fourfold="/fragments/home#account"` is filled with what stands in the element of that id in the
 *   answer of that address, or with the whole of it where the address names no id. Elements of one address share one
 *   request; an id that the answer has not leaves the element as it is.
 * - Only for readers who may be known: a cookie, `ff_fragments`, says so. This script sets it on pages that the app
 *   rendered for somebody, `<html data-fourfold-reader>`, and takes it away when a fragment is answered with 401. It is
 *   no credential: whoever forges it is asked who they are like anybody. Nobody known, no request.
 * - From before the first paint until the answer, `<html>` has the attribute `data-fourfold-reader`, and the elements have
 *   theirs: a style sheet hides them, and leaves room. Whatever fails shows what everybody sees.
 * - The page's `load` event waits for them.
 *
 * The markup is the server's, which has escaped what users wrote. It is parsed as a document of its own, where no script
 * runs, nor do scripts in it run later.
 */

interface PageElement {
  readonly dataset: Record<string, string | undefined>
  readonly childNodes: Iterable<object>
  replaceChildren(...nodes: object[]): void
  append(node: object): void
}

interface FrameElement {
  hidden: boolean
  readonly contentDocument: { open(): void } | null
  remove(): void
}

interface PageDocument {
  cookie: string
  readonly readyState: string
  readonly documentElement: PageElement
  readonly body: PageElement
  querySelectorAll(selector: string): Iterable<PageElement>
  getElementById(id: string): PageElement | null
  createElement(name: 'iframe'): FrameElement
  addEventListener(event: string, listener: () => void): void
}

declare const document: PageDocument
declare const location: { readonly protocol: string }
declare const DOMParser: new () => { parseFromString(text: string, type: string): PageDocument }

/**
 * Fills in the fragments of the page that it is called on. In the head, as a classic script, it comes before the first
 * paint; see {@link fragmentsScript}. It stands on nothing outside itself.
 */
export function fillFragments(): void {
  const root = document.documentElement.dataset
  const rememberFor = (seconds: number): void => {
    const secure = location.protocol === 'https:' ? '; secure' : ''
    document.cookie = `ff_fragments=1; path=/; samesite=lax; max-age=${seconds}${secure}`
  }
  const aDay = 86_400

  const read = async (address: string): Promise<PageDocument | null> => {
    const answer = await fetch(address, {
      headers: { accept: 'text/html' },
      // What another site answers has no place here, nor has the page to sign in.
      mode: 'same-origin',
      redirect: 'error',
      signal: AbortSignal.timeout(5000),
    })
    if (answer.status === 401) {
      rememberFor(0)
      delete root['fourfoldReader']
    }
    if (answer.status !== 200 || !/^text\/html\b/.test(answer.headers.get('content-type') ?? '')) return null
    rememberFor(aDay)
    return new DOMParser().parseFromString(await answer.text(), 'text/html')
  }

  const fill = async (address: string, elements: readonly PageElement[]): Promise<void> => {
    const answer = await read(address).catch(() => null)
    for (const element of elements) {
      const id = element.dataset['fourfold']?.split('#')[1]
      const part = answer && (id ? answer.getElementById(id) : answer.body)
      if (part) element.replaceChildren(...part.childNodes)
      delete element.dataset['fourfold']
    }
  }

  // The page has loaded when all of it is there: a frame whose document is still open says so to the browser.
  const fillAll = (): void => {
    const byAddress = new Map<string, PageElement[]>()
    for (const element of document.querySelectorAll('[data-fourfold]')) {
      const [address = ''] = (element.dataset['fourfold'] ?? '').split('#')
      byAddress.set(address, [...(byAddress.get(address) ?? []), element])
    }
    const frame = document.createElement('iframe')
    frame.hidden = true
    document.body.append(frame)
    frame.contentDocument?.open()
    const filled = [...byAddress].map(([address, elements]) => fill(address, elements))
    void Promise.allSettled(filled).then(() => frame.remove())
  }

  if ('fourfoldReader' in root) return rememberFor(aDay)
  if (!/(?:^|; )ff_fragments=1/.test(document.cookie)) return
  root['fourfoldReader'] = ''
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', fillAll)
  else fillAll()
}

/** The same as the text of a script, to be served by the app and named in the head: `<script src="/fragments.js">`. */
export const fragmentsScript: string = `(${fillFragments.toString()})()\n`
