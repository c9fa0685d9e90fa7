/** Makes up people, articles and comments that read as if somebody had meant them. */
import type { Random } from './random.ts'
import * as words from './words.ts'

export interface Person {
  readonly username: string
  readonly email: string
  readonly bio: string | null
}

/** People with different names: the first to have a name keeps it plain, later ones, and those of taken names, get a number. */
export function createPeople(random: Random, taken: Set<string>): () => Person {
  return () => {
    const name = `${random.pick(words.FIRST_NAMES)} ${random.pick(words.LAST_NAMES)}`
    let username = name
    for (let number = 2; taken.has(username); number++) username = `${name} ${number}`
    taken.add(username)
    const email = `${username.toLowerCase().replaceAll(' ', '.')}@conduit.example`
    return { username, email, bio: random.chance(0.8) ? bioOf(random) : null }
  }
}

export interface Draft {
  readonly title: string
  readonly description: string
  readonly body: string
  readonly tags: readonly string[]
}

export function writeArticle(random: Random): Draft {
  const subject = random.pick(words.SUBJECTS)
  const say = (template: string): string => fill(template, random, subject)
  return {
    title: say(random.pick(words.TITLES)),
    description: say(random.pick(words.DESCRIPTIONS)),
    body: writeBody(random, say),
    tags: random.sample(subject.tags, random.whole(1, 4)),
  }
}

export function writeComment(random: Random): string {
  return random.sample(words.COMMENTS, random.chance(0.25) ? 2 : 1).join('\n\n')
}

function bioOf(random: Random): string {
  const trade = random.pick(words.TRADES)
  const place = random.pick(words.PLACES)
  const { acts } = random.pick(words.SUBJECTS)
  return random.pick([
    `${trade} in ${place}. Writes about ${random.pick(acts)}.`,
    `${trade}, formerly of ${place}.`,
    `${trade} by day. ${place}. Thinks too much about ${random.pick(acts)}.`,
  ])
}

function writeBody(random: Random, say: (template: string) => string): string {
  const blocks = [`${say(random.pick(words.OPENINGS))} ${paragraph(random, say)}`]
  for (let section = random.whole(1, 3); section > 0; section--) {
    blocks.push(`## ${say(random.pick(words.HEADINGS))}`, paragraph(random, say))
    if (random.chance(0.45)) blocks.push(paragraph(random, say))
    if (random.chance(0.4)) blocks.push(list(random, say))
    if (random.chance(0.25)) blocks.push(`> ${random.pick(words.QUOTES)}`)
  }
  blocks.push(paragraph(random, say))
  return blocks.join('\n\n')
}

function paragraph(random: Random, say: (template: string) => string): string {
  return random.sample(words.SENTENCES, random.whole(3, 6)).map(say).join(' ')
}

function list(random: Random, say: (template: string) => string): string {
  return random
    .sample(words.POINTS, random.whole(2, 4))
    .map((point) => `- ${say(point)}`)
    .join('\n')
}

function fill(template: string, random: Random, subject: words.Subject): string {
  return template
    .replaceAll('{thing}', () => random.pick(subject.things))
    .replaceAll('{act}', () => random.pick(subject.acts))
    .replaceAll('{Thing}', () => capital(random.pick(subject.things)))
    .replaceAll('{Act}', () => capital(random.pick(subject.acts)))
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
