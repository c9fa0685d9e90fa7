/** Articles as pages, for the tests of what the balancer answers, and who has answered. */

import { definePage } from '../../src/pages/define-page.ts'

export const secret = 'a secret of at least thirty-two characters'
const filler = '<p>text</p>'.repeat(200)
const article = definePage({
  path: '/article/:slug',
  query: ['part'],
  render: async ({ main, notFound, query }: any, { slug }) => {
    const row = await main.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
    return row === undefined ? notFound(`<h1>no ${slug}</h1>`) : `<h1>${row.title}</h1>${query.part ?? ''}${filler}`
  },
})
const everything = definePage({ path: '/all/*', render: (_tools, params) => `<h1>${params['*']}</h1>`, ttl: '1h' })
export const pages = [article, everything]

/** What the app's own routes do. */
export async function handle(request: any, response: any): Promise<void> {
  const { pathname, searchParams } = new URL(request.url, 'http://app')
  const slug = searchParams.get('slug')
  const title = searchParams.get('title') ?? ''
  if (pathname === '/write') {
    await request.ff.databases.main.updateTable('articles').set({ title }).where('slug', '=', slug).execute()
  }
  if (pathname === '/login') request.session.set('user', searchParams.get('user'))
  if (pathname === '/logout') await request.session.destroy()
  if (pathname === '/visit') await request.session.update('visits', (count = 0) => count + 1)
  response.end('done')
}

export interface Seen {
  readonly status: number
  readonly title: string
  /** Who answered: `balancer` or `clone`. */
  readonly by: string
}

export function byOf({ headers }: Response): string {
  return headers.get('cache-status')?.startsWith('fourfold-balancer;') === true ? 'balancer' : 'clone'
}

export function titleOf(text: string): string {
  return /<h1>(.*?)<\/h1>/.exec(text)?.[1] ?? ''
}

export async function seen(answer: Response): Promise<Seen> {
  return { status: answer.status, title: titleOf(await answer.text()), by: byOf(answer) }
}
