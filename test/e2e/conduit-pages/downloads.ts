/** All of one's articles as an archive: made by a job, while the page goes on, for nobody but their author. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'

import { strFromU8, unzipSync } from 'fflate'
import { publish, register, type Member } from '../../support/conduit.ts'
import { waitFor } from '../../support/wait-for.ts'
import { count, signIn, text, visit, type Given, type Visit } from './visits.ts'

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
      const release = await holdDownloads(t)
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
      await release()
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

    test('it is cancelled from the page: nothing is left of it, the one before is, and it can be ordered again', async (t) => {
      const visitor = await visit(t, given)
      const member = await author(t)
      await settings(visitor, member)
      const { page } = visitor
      await page.click('text=Download all my articles')
      await page.waitForSelector('.download-link:visible')
      await publish(given.call, member)
      const release = await holdDownloads(t)
      await page.click('text=Download all my articles')
      await waitFor('all articles to be packed', async () =>
        (await text(page, '.download-state')).startsWith(`${articles + 1} of ${articles + 1}`),
      )
      assert.equal(await page.isVisible('.download-link'), false, 'the one before is not what was asked for')
      await page.click('text=Cancel')
      await page.waitForSelector('text=It was cancelled.')
      assert.equal(await page.isVisible('.download-progress'), false)
      assert.equal(await page.isVisible('text=Cancel'), false)
      assert.equal(await page.evaluate(focused), 'Download all my articles')
      assert.match(await text(page, '.download-about'), new RegExp(`^${articles} articles`))
      await release()
      await nothingUnkept(t)
      assert.equal(unpacked(await (await visitor.context.request.get(archive)).body()).length, articles)
      await page.click('text=Download all my articles')
      await page.waitForSelector(`text=${ready}`)
      assert.match(await text(page, '.download-about'), new RegExp(`^${articles + 1} articles`))
    })

    test('it is cancelled without JavaScript, and by nobody else', async (t) => {
      const visitor = await visit(t, given, { javaScriptEnabled: false })
      await settings(visitor, await author(t))
      const { page, context } = visitor
      const release = await holdDownloads(t)
      await page.click('text=Download all my articles')
      const address = visitor.at()
      await checkOthersCannotCancel(t, address)
      const elsewhere = { headers: { origin: 'https://elsewhere.example' } }
      assert.equal((await context.request.post(`${address}/cancel`, elsewhere)).status(), 403)
      await page.goto(address)
      assert.equal(await page.isVisible('.download-progress'), true)
      await page.click('text=Cancel')
      assert.equal(visitor.at(), address)
      assert.equal(await text(page, '.download-state'), 'It was cancelled.')
      assert.equal(await count(page, 'text=Look again'), 0)
      assert.equal(await page.isVisible('text=Cancel'), false)
      await release()
      await nothingUnkept(t)
      assert.equal((await context.request.get(archive)).status(), 404)
      await page.click('text=Download all my articles')
      assert.notEqual(visitor.at(), address)
      await waitFor('the archive', async () => {
        if ((await text(page, '.download-state')) === ready) return true
        await page.click('text=Look again')
        return false
      })
      assert.equal((await context.request.post(`${visitor.at()}/cancel`)).url(), page.url(), 'too late: it stays')
      assert.equal((await context.request.get(archive)).status(), 200)
    })
  })

  /** A job can read and pack everything, and say nothing of the file before this is released. */
  async function holdDownloads(t: Parameters<typeof visit>[0]): Promise<() => Promise<void>> {
    const database = await given.connect(t)
    await database.query('begin')
    await database.query('lock table downloads in share mode')
    return async () => void (await database.query('rollback'))
  }

  /** Whoever was cancelled and could not be interrupted cleans up a moment later. */
  async function nothingUnkept(t: Parameters<typeof visit>[0]): Promise<void> {
    const database = await given.connect(t)
    const unkept = `select from fourfold.files where type = 'application/zip' and name not in (select file from downloads)`
    await waitFor('archives that nobody keeps to be gone', async () => (await database.query(unkept)).rowCount === 0)
  }

  async function checkOthersCannotCancel(t: Parameters<typeof visit>[0], address: string): Promise<void> {
    const other = await visit(t, given)
    const { request } = other.context
    assert.match((await request.post(`${address}/cancel`)).url(), /\/login$/)
    await signIn(other, await register(given.call, 'other'))
    for (const path of [`${address}/cancel`, '/downloads/999999999/cancel', '/downloads/x/cancel']) {
      assert.equal((await request.post(path)).status(), 404, path)
    }
  }

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

function unpacked(bytes: Uint8Array): [name: string, content: Uint8Array][] {
  return Object.entries(unzipSync(bytes))
}

function checkArchive(bytes: Uint8Array): void {
  const files = unpacked(bytes)
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

/** In the page: what the keyboard would press. */
function focused(): string {
  return (globalThis as any).document.activeElement.textContent
}

function barValues(): number[] {
  return (globalThis as any).barValues
}
