/** The app of the benchmark of pages: the same document as a page, and as a route that makes it for each request. */

import { createServer } from 'node:http'

import { database, defineApp } from '../../src/app/define-app.ts'
import { withFourfold } from '../../src/http/node.ts'
import { definePage } from '../../src/pages/define-page.ts'

export const notes = 100

const words = 'bread oven night morning flour water salt yeast crust warm early street window cake sugar butter'.split(
  ' ',
)

/** Some 6 KB that compress as prose does. */
function proseOf(seed: number): string {
  let state = seed + 1
  const next = (): number => (state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647)
  return Array.from({ length: 14 }, () => {
    const sentence = Array.from({ length: 64 }, () => words[next() % words.length]).join(' ')
    return `<p>${sentence} ${next()}.</p>`
  }).join('\n')
}

async function render(main: any, id: number): Promise<string> {
  const note = await main.selectFrom('notes').selectAll().where('id', '=', id).executeTakeFirst()
  const remarks = await main.selectFrom('remarks').selectAll().where('note', '=', id).orderBy('id').execute()
  const list = remarks.map(({ text }: { text: string }) => `<li>${text}</li>`).join('')
  return `<!doctype html><html lang="en"><title>${note?.text}</title><h1>${note?.text}</h1><ul>${list}</ul>${proseOf(id)}</html>`
}

export const schemaSql = `
create table notes (id int primary key, text text not null);
create table remarks (id int primary key, note int not null, text text not null);
create index on remarks (note);
insert into notes select n, 'note ' || n from generate_series(1, ${notes}) n;
insert into remarks select n, 1 + n % ${notes}, 'remark ' || n from generate_series(1, ${10 * notes}) n`

export default defineApp({
  databases: { main: database<any>({ replicas: 0 }) },
  pages: [definePage({ path: '/note/:id', render: ({ main }: any, { id }) => render(main, Number(id)) })],
  server: (ff) =>
    createServer(
      withFourfold(ff, async (request: any, response) => {
        const [, kind, id] = request.url.split('/')
        const { main } = request.ff.databases
        if (kind === 'plain') {
          response.setHeader('content-type', 'text/html; charset=utf-8')
          return void response.end(await render(main, Number(id)))
        }
        if (kind === 'write') {
          request.session.set('visits', 1)
          await main
            .updateTable('notes')
            .set({ text: `note ${id} again` })
            .where('id', '=', Number(id))
            .execute()
        }
        response.end('done')
      }),
    ),
})
