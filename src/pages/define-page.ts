/**
 * Pages: documents that are rendered ahead of demand, the same for everybody, and again when anything that their render
 * read changes. The idea is the recipe's: bake in advance, sell in the morning.
 */

import type { LoadTools } from '../cache/define-object.ts'
import type { PageReaders } from './readers.ts'

/** The parameters that a path names: `'/article/:slug'` has `{ slug: string }`. */
export type ParamsOf<Path extends string> = string extends Path
  ? Readonly<Record<string, string>>
  : { readonly [Name in NamesOf<Path>]: string }

type NamesOf<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? NameOf<Segment> | NamesOf<Rest>
  : NameOf<Path>
type NameOf<Segment extends string> = Segment extends `:${infer Name}` ? Name : Segment extends '*' ? '*' : never

/** What a render is given besides databases, `use`, `useMany`, `join` and `dependsOn`. */
export interface PageContext {
  /** The parameters of the query that the page has allowed; undefined where the address has none of this name. */
  readonly query: Readonly<Record<string, string | undefined>>
  /** The page's own address: its path and the allowed query, in canonical form. */
  readonly url: string
  /** The answer for what is not there: a 404 that depends on what was looked for. Default: a short page that says so. */
  notFound(html?: string): Response
}

export type PageTools<Databases> = LoadTools<Databases> & PageContext

/** What caches in front of the app may do with a page. Durations: `'1m'`, or milliseconds. */
export interface EdgeOptions {
  /** How long it may be answered without asking. */
  readonly fresh: number | string
  /** How much longer it may be answered while it is asked for anew. */
  readonly staleWhileRevalidate?: number | string
  /** How much longer it may be answered while the app fails. */
  readonly staleIfError?: number | string
}

export interface PageOptions<Databases, Path extends string> {
  /** Segments, some of them `:named`; a `*` at the end takes the rest. It names the page too: unique in the app. */
  readonly path: Path
  /** Renders the page: HTML as a text, or a `Response`. May only read; what it reads is what the page depends on. */
  readonly render: (tools: PageTools<Databases>, params: ParamsOf<Path>) => Rendered | Promise<Rendered>
  /** What is baked ahead. Other addresses are baked when they are first asked for. */
  readonly params?:
    | readonly ParamsOf<NoInfer<Path>>[]
    | ((
        tools: LoadTools<Databases>,
      ) => Promise<readonly ParamsOf<NoInfer<Path>>[]> | readonly ParamsOf<NoInfer<Path>>[])
  /** Query parameters that make another page. Default: none. An address that has one of them twice is no page. */
  readonly query?: readonly string[]
  /** What other parameters of the query mean: nothing, or that the app's own route answers. Default: `ignore`. */
  readonly otherQuery?: 'ignore' | 'route'
  /** For whom it is; others are answered by the app's own route at the same address. Default: `everybody`. */
  readonly readers?: PageReaders
  /** A cron expression: all of `params` is baked again at these times too, once in the cluster. */
  readonly schedule?: string
  /** The page is over after this, whatever happens. Needed where a render reads what cannot be followed. */
  readonly ttl?: number | string
  /** More headers of each answer. */
  readonly headers?: Readonly<Record<string, string>>
  /** How long browsers may keep it without asking. Default: they ask each time, and mostly hear 304. */
  readonly browser?: number | string
  /** How long shared caches in front may keep it, as `CDN-Cache-Control`. Default: they ask each time. */
  readonly edge?: number | string | EdgeOptions
  /** Part of the key of every page: raise it when what a render shows changes and its code does not. */
  readonly version?: number
}

export type Rendered = string | Response

export interface PageDefinition<Path extends string = any> extends PageOptions<any, Path> {
  readonly kind: 'page'
}

/** Declares a page; without schemas: the databases are of type `any` inside. See `define` for a typed one. */
export function definePage<Path extends string>(options: PageOptions<any, Path>): PageDefinition<Path> {
  return Object.freeze({ ...options, kind: 'page' as const })
}
