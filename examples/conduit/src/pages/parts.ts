/**
 * Personal parts of pages. A page for everybody shows in them what anybody sees, and says by an attribute of the element
 * which part of which fragment takes its place for somebody who is signed in.
 */
import { type Content, html } from './html.ts'

/** The attribute of the element that is filled with a part. */
export type Part = (name: string) => Content

/** On a page that was rendered for its reader. */
export const filledIn: Part = () => null

/** On a page for everybody. */
export function partOf(address: string): Part {
  return (name) => html` data-fourfold="${address}#${name}"`
}

export interface Fragment {
  readonly name: string
  readonly content: Content
}

/** The answer to whoever asks for the parts of a page. */
export function renderFragments(fragments: readonly Fragment[]): string {
  return fragments.map(({ name, content }) => html`<div id="${name}">${content}</div>`).join('\n')
}
