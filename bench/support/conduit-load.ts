/**
 * The load of `bench/conduit.ts`: readers who read ninety-five times and write five, mostly what is popular (Zipf), and
 * notice when what they read is older than it may be.
 *
 * Each loop has readers and authors of its own, so that it knows what these wrote last. Whoever wrote looks at once at
 * what they wrote, through the other clone: what is missing there is `own`. Edits give articles numbered texts, so that
 * any reader's answer tells how late it is: what an answer misses although it was acknowledged more than a second
 * before the request is `others`.
 */

import { createTokens } from '../../examples/conduit/src/tokens.ts'
import { createRandom, type Random, zipf } from '../../examples/conduit/src/seed/random.ts'
import { openConnection, type HttpConnection, type PlainAnswer } from './http-connection.ts'

import type { Executor } from '../../examples/conduit/src/schema.ts'

export interface World {
  readonly users: readonly { readonly id: number; readonly username: string; readonly token: string }[]
  /** In the order of their popularity. */
  readonly articles: readonly { readonly slug: string; readonly authorId: number }[]
  readonly tags: readonly string[]
}

export interface Stale {
  /** Answers to readers without their own last write. */
  own: number
  /** Answers without what somebody else's write had said more than a second before. */
  others: number
  /** The longest that an answer was behind an acknowledged write of somebody else. */
  lagMs: number
}

export interface Spell {
  readonly requests: number
  readonly seconds: number
  readonly latenciesMs: readonly number[]
}

/** What one contender was told so far; goes on from spell to spell. */
export interface Ledger {
  readonly stale: Stale
  /** By slug: the numbers of acknowledged editions, ascending, and when they were. */
  readonly editions: Map<string, { readonly number: number; readonly atMs: number }[]>
  edition: number
}

export function createLedger(): Ledger {
  return { stale: { own: 0, others: 0, lagMs: 0 }, editions: new Map(), edition: 0 }
}

const boundMs = 1_000
const keptEditions = 50

/** Reads who and what there is, and shuffles it: the same for all contenders. */
export async function readWorld(db: Executor, secrets: readonly string[]): Promise<World> {
  const tokens = createTokens(secrets)
  const random = createRandom(7)
  const shuffle = <T>(values: readonly T[]): T[] =>
    values
      .map((value) => ({ value, lot: random.next() }))
      .toSorted((a, b) => a.lot - b.lot)
      .map(({ value }) => value)
  const people = await db.selectFrom('users').select(['id', 'username']).orderBy('id').execute()
  const users = await Promise.all(people.map(async (user) => ({ ...user, token: await tokens.sign(user.id) })))
  const articles = await db.selectFrom('articles').select(['slug', 'author_id as authorId']).orderBy('id').execute()
  const tags = await db.selectFrom('tags').select('name').orderBy('id').execute()
  return { users: shuffle(users), articles: shuffle(articles), tags: shuffle(tags.map(({ name }) => name)) }
}

export interface SpellOptions {
  readonly world: World
  readonly ledger: Ledger
  readonly ports: readonly number[]
  readonly loops: number
  readonly ms: number
  /** Ends earlier when so many were answered. */
  readonly requests?: number
  /** The same requests for the same number, as far as time allows. */
  readonly seed: number
}

/** Sends requests for so long, and answers what came of them. */
export async function sendSpell(options: SpellOptions): Promise<Spell> {
  const latenciesMs: number[] = []
  const loops = await Promise.all(Array.from({ length: options.loops }, (_, at) => openLoop(options, at, latenciesMs)))
  const began = performance.now()
  await Promise.all(loops.map((loop) => loop.run(began + options.ms)))
  const seconds = (performance.now() - began) / 1_000
  for (const loop of loops) loop.close()
  return { requests: latenciesMs.length, seconds, latenciesMs }
}

async function openLoop(options: SpellOptions, at: number, latenciesMs: number[]): Promise<Loop> {
  const connections = await Promise.all(options.ports.map(openConnection))
  return new Loop(options, at, connections, latenciesMs)
}

type User = World['users'][number]
type Article = World['articles'][number]

/** Of each thousand requests: 50 write, 50 look at once at what was written, and the others only read. */
const mix = {
  article: 300,
  all: 155,
  comments: 110,
  feed: 95,
  tag: 75,
  author: 55,
  profile: 40,
  tags: 40,
  favorited: 30,
  favorite: 18,
  comment: 12,
  follow: 8,
  edit: 7,
  publish: 5,
} as const

type Kind = keyof typeof mix

/** One request after the other. */
class Loop {
  readonly #options: SpellOptions
  readonly #connections: readonly HttpConnection[]
  readonly #latenciesMs: number[]
  readonly #random: Random
  readonly #own: readonly User[]
  readonly #article: () => number
  readonly #tag: () => number
  readonly #reader: () => number
  readonly #authors: ReadonlyMap<number, User>

  constructor(options: SpellOptions, at: number, connections: readonly HttpConnection[], latenciesMs: number[]) {
    const { world, loops, seed } = options
    this.#options = options
    this.#connections = connections
    this.#latenciesMs = latenciesMs
    this.#random = createRandom(seed * 1_000 + at)
    this.#own = world.users.filter((_, index) => index % loops === at)
    this.#authors = new Map(this.#own.map((user) => [user.id, user]))
    this.#article = zipf(this.#random, world.articles.length, 0.9)
    this.#tag = zipf(this.#random, world.tags.length)
    this.#reader = zipf(this.#random, this.#own.length, 0.7)
  }

  async run(untilMs: number): Promise<void> {
    const { requests = Infinity } = this.#options
    while (performance.now() < untilMs && this.#latenciesMs.length < requests) await this.#do(this.#pick())
  }

  close(): void {
    for (const connection of this.#connections) connection.close()
  }

  #pick(): Kind {
    let lot = this.#random.next() * 950
    for (const [kind, weight] of Object.entries(mix)) {
      lot -= weight
      if (lot < 0) return kind as Kind
    }
    return 'article'
  }

  async #do(kind: Kind): Promise<void> {
    const { world } = this.#options
    const user = this.#own[this.#reader()]!
    const article = world.articles[this.#article()]!
    const token = this.#random.chance(0.5) ? user.token : null
    const get = (path: string): Promise<unknown> => this.#ask('GET', path, token)
    const someone = encodeURIComponent(this.#random.pick(world.users).username)
    switch (kind) {
      case 'article':
        return await this.#readArticle(article.slug, token)
      case 'all':
        return void (await get(
          `/articles?limit=20&offset=${this.#random.chance(0.8) ? 0 : 20 * this.#random.whole(1, 9)}`,
        ))
      case 'comments':
        return void (await get(`/articles/${article.slug}/comments`))
      case 'feed':
        return void (await this.#ask('GET', '/articles/feed?limit=20&offset=0', user.token))
      case 'tag':
        return void (await get(`/articles?tag=${encodeURIComponent(world.tags[this.#tag()]!)}`))
      case 'author':
        return void (await get(`/articles?author=${someone}`))
      case 'profile':
        return void (await get(`/profiles/${someone}`))
      case 'tags':
        return void (await get('/tags'))
      case 'favorited':
        return void (await get(`/articles?favorited=${encodeURIComponent(user.username)}`))
      default:
        return await this.#write(kind, user, article)
    }
  }

  async #write(kind: Kind, user: User, { slug }: Article): Promise<void> {
    const { token } = user
    if (kind === 'favorite') {
      const on = this.#random.chance(0.6)
      await this.#ask(on ? 'POST' : 'DELETE', `/articles/${slug}/favorite`, token)
      return await this.#expect(`/articles/${slug}`, token, ({ article }) => article.favorited === on)
    }
    if (kind === 'comment') {
      const body = { comment: { body: 'I tried this over the weekend, and it works.' } }
      const posted = await this.#ask('POST', `/articles/${slug}/comments`, token, body, [404])
      // Stored, and not there when it was read for the answer: articles are never deleted here.
      if (posted.status === 404) return void (this.#options.ledger.stale.own += 1)
      const { comment } = JSON.parse(posted.text)
      const has = ({ comments }: any): boolean => comments.some(({ id }: any) => id === comment.id)
      return await this.#expect(`/articles/${slug}/comments`, token, has)
    }
    if (kind === 'follow') {
      const path = `/profiles/${encodeURIComponent(this.#random.pick(this.#options.world.users).username)}`
      const on = this.#random.chance(0.6)
      await this.#ask(on ? 'POST' : 'DELETE', `${path}/follow`, token)
      return await this.#expect(path, token, ({ profile }) => profile.following === on)
    }
    return kind === 'edit' ? await this.#edit() : await this.#publish(user)
  }

  async #publish({ token, username }: User): Promise<void> {
    const { world } = this.#options
    const tagList = [this.#random.pick(world.tags), this.#random.pick(world.tags)]
    const title = `Notes of ${username}, ${this.#random.whole(0, 1e9)}`
    const body = {
      article: { title, description: 'What there is to say.', body: 'A *text* of some length. '.repeat(40), tagList },
    }
    const { article } = JSON.parse((await this.#ask('POST', '/articles', token, body)).text)
    const first = ({ articles }: any): boolean => articles.some(({ slug }: any) => slug === article.slug)
    const author = `/articles?author=${encodeURIComponent(username)}`
    await this.#expect(this.#random.chance(0.5) ? '/articles?limit=20&offset=0' : author, token, first)
  }

  /** An author changes an article of their own, a popular one where they have one. */
  async #edit(): Promise<void> {
    const { world, ledger } = this.#options
    let article = world.articles[this.#article()]!
    while (!this.#authors.has(article.authorId)) article = world.articles[this.#article()]!
    const { token } = this.#authors.get(article.authorId)!
    const number = (ledger.edition += 1)
    const description = `edition ${number}`
    await this.#ask('PUT', `/articles/${article.slug}`, token, { article: { description } })
    const editions = ledger.editions.get(article.slug) ?? []
    editions.push({ number, atMs: performance.now() })
    if (editions.length > keptEditions) editions.shift()
    ledger.editions.set(article.slug, editions)
    await this.#expect(`/articles/${article.slug}`, token, (answer) => answer.article.description === description)
  }

  async #readArticle(slug: string, token: string | null): Promise<void> {
    const { stale, editions } = this.#options.ledger
    const sentMs = performance.now()
    const { text } = await this.#ask('GET', `/articles/${slug}`, token)
    const known = editions.get(slug)
    if (known === undefined) return
    const shown = Number(/"description":"edition (\d+)"/.exec(text)?.[1] ?? 0)
    const missed = known.find(({ number, atMs }) => number > shown && atMs < sentMs)
    if (missed === undefined) return
    const lagMs = sentMs - missed.atMs
    stale.lagMs = Math.max(stale.lagMs, lagMs)
    if (lagMs > boundMs) stale.others += 1
  }

  /** Looks through the other clone at what was written through this one. */
  async #expect(path: string, token: string, shows: (answer: any) => boolean): Promise<void> {
    const { text } = await this.#ask('GET', path, token)
    if (!shows(JSON.parse(text))) this.#options.ledger.stale.own += 1
  }

  #turn = 0

  async #ask(
    method: string,
    path: string,
    token: string | null,
    body?: unknown,
    expected: readonly number[] = [],
  ): Promise<PlainAnswer> {
    const connection = this.#connections[(this.#turn += 1) % this.#connections.length]!
    const began = performance.now()
    const answer = await connection.ask(method, `/api${path}`, token, body)
    this.#latenciesMs.push(performance.now() - began)
    if (answer.status >= 300 && !expected.includes(answer.status))
      throw new Error(`${method} ${path} answered ${answer.status} ${answer.text.slice(0, 300)}`)
    return answer
  }
}
