/** All of one's articles as an archive: made by a job, while the page goes on, for nobody but their author. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'

import { strFromU8, unzipSync } from 'fflate'
import { register, type Member } from '../../support/conduit.ts'
import { waitFor } from '../../support/wait-for.ts'
import { signIn, text, visit, type Given, type Visit } from './visits.ts'

const archive = '/downloads/articles.zip'
const articles = 45
const ready = 'Your archive is ready.'

export function downloadTests(given: Given): void {
  const author = async (t: Parameters<typeof visit>[0]): Promise<Member> => {
    const member = await register(given.call, 'author')
    const database = await given.connect(t)
    await database.query(
      `insert into articles (slug, title, description, body, author_id)
       select $1 || '-' || n, 'Article "' || n || '"', 'About ' || n, 'Text ' || n || repeat(' und so weiter', 500), id
       from generate_series(1, ${articles}) n, users where username = $1`,
      [member.username],
    )
    return member
  }
  const settings = async (visitor: Visit, member: Member): Promise<void> => {
    await signIn(visitor, member)
    await visitor.page.goto('/settings')
  }

  describe('the archive of one’s articles', () => {
    test('a bar moves while it is made, the clone that tells of it dies unnoticed, and it holds every article', async (t) => {
      const visitor = await visit(t, given)
      const member = await author(t)
      await settings(visitor, member)
      const { page, context } = visitor
      const streams: string[] = []
      page.on('request', (request) => {
        const { pathname } = new URL(request.url())
        if (pathname.endsWith('/events')) streams.push(pathname)
      })
      // The job can read and pack everything, and say nothing of the file before this ends.
      const database = await given.connect(t)
      await database.query('begin')
      await database.query('lock table downloads in share mode')
      await page.evaluate(watchBar)
      await page.click('.download button')
      await waitFor('all articles to be packed', async () =>
        (await text(page, '.download-state')).startsWith(`${articles} of ${articles}`),
      )
      await page.fill('[name=bio]', 'Typed meanwhile')
      const again = await context.request.post('/downloads', { headers: { accept: 'application/json' } })
      assert.equal(again.status(), 202)
      const job = again.headers()['location'] ?? ''
      assert.equal(`${job}/events`, streams[0], 'ordered twice it is one job')
      // Whichever has it: the browser comes back within a second.
      const cameBack = (): boolean => streams.length > 1
      await given.killClones(cameBack)
      await waitFor('the stream to come back', cameBack)
      assert.equal((await context.request.get('/settings')).status(), 200)
      await database.query('rollback')
      await page.waitForSelector('.download-link:visible')
      assert.equal(await text(page, '.download-state'), ready)
      assert.match(await text(page, '.download-about'), new RegExp(`^${articles} articles`))
      assert.equal(await page.inputValue('[name=bio]'), 'Typed meanwhile')
      const moved = await page.evaluate(barValues)
      const held = moved.find((value) => value > 0.9)
      assert.ok(held! < 1 && moved.at(-1) === 1, `the bar moved: ${moved.join(', ')}`)
      assert.deepEqual(
        moved,
        moved.toSorted((one, other) => one - other),
      )
      const saving = page.waitForEvent('download')
      await page.click('.download-link a')
      const saved = await saving
      assert.equal(saved.suggestedFilename(), 'articles.zip')
      checkArchive(await readFile(await saved.path()))
      await checkNobodyElse(t, job)
    })

    test('it is ordered and found without JavaScript', async (t) => {
      const visitor = await visit(t, given, { javaScriptEnabled: false })
      await settings(visitor, await author(t))
      const { page, context } = visitor
      await page.click('.download button')
      assert.match(visitor.at(), /^\/downloads\/\d+$/)
      await waitFor('the archive', async () => {
        if ((await text(page, '.download-state')) === ready) return true
        await page.click('text=Look again')
        return false
      })
      assert.equal(await page.getAttribute('.download-link a', 'href'), archive)
      const answer = await context.request.get(archive)
      assert.equal(answer.headers()['cache-control'], 'private, no-store')
      assert.match(answer.headers()['content-disposition'] ?? '', /^attachment;.*articles\.zip/)
      checkArchive(await answer.body())
      await page.goto('/settings')
      assert.match(await text(page, '.download-about'), new RegExp(`^${articles} articles`), 'it is there later, too')
    })
  })

  async function checkNobodyElse(t: Parameters<typeof visit>[0], job: string): Promise<void> {
    const other = await visit(t, given)
    const { request } = other.context
    assert.equal((await request.get(job)).status(), 404)
    assert.match((await request.get(archive)).url(), /\/login$/)
    await signIn(other, await register(given.call, 'other'))
    for (const path of [job, `${job}/events`, job.replace('/jobs/', '/downloads/'), archive]) {
      assert.equal((await request.get(path)).status(), 404, path)
    }
    assert.equal((await request.delete(job)).status(), 404)
  }
}

function checkArchive(bytes: Uint8Array): void {
  const files = Object.entries(unzipSync(bytes))
  assert.equal(files.length, articles)
  const texts = files.map(([name, content]) => {
    assert.match(name, /^\d{4}-\d\d-\d\d-\d+-[a-z0-9-]+\.md$/)
    return strFromU8(content)
  })
  for (let n = 1; n <= articles; n += 1) {
    const found = texts.find((one) => one.includes(`title: "Article \\"${n}\\""`)) ?? assert.fail(`article ${n}`)
    assert.match(found, new RegExp(`\n---\n\nText ${n} und so weiter`))
  }
}

/** In the page: remembers how far the bar was. */
function watchBar(): void {
  const window = globalThis as any
  const bar = window.document.querySelector('progress')
  window.barValues = []
  new window.MutationObserver(() => window.barValues.push(bar.value)).observe(bar, { attributeFilter: ['value'] })
}

function barValues(): number[] {
  return (globalThis as any).barValues
}
