/** Profile pictures: uploaded through the balancer on whichever clone, shown by every other. */

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request as sendRaw, type IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, test } from 'node:test'

import { register, type Member } from '../../support/conduit.ts'
import { signIn, text, visit, type Given, type Visit } from './visits.ts'
import { waitFor } from '../../support/wait-for.ts'

/** A picture of so many bytes: a real one of one pixel, with something behind its end. */
function pictureOf(size: number): Buffer {
  const pixel = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  )
  return Buffer.concat([pixel, randomBytes(Math.max(0, size - pixel.length))])
}

const urlOf = (bytes: Buffer): string => `/files/${createHash('sha256').update(bytes).digest('hex')}`
const limit = 5 * 1024 * 1024

export function pictureTests(given: Given): void {
  const settings = async (visitor: Visit): Promise<Member> => {
    const member = await register(given.call, 'pictured')
    await signIn(visitor, member)
    await visitor.page.goto('/settings')
    return member
  }
  const choose = (visitor: Visit, bytes: Buffer, name = 'me.png', mimeType = 'image/png'): Promise<void> =>
    visitor.page.setInputFiles('[name=picture]', { name, mimeType, buffer: bytes })
  const submit = (visitor: Visit): Promise<void> => visitor.page.click('button >> text=Update Settings')

  describe('profile pictures', { concurrency: 3 }, () => {
    for (const javaScriptEnabled of [true, false]) {
      const how = javaScriptEnabled ? 'with' : 'without'
      test(`a picture is uploaded in the settings and shown, ${how} JavaScript`, async (t) => {
        const visitor = await visit(t, given, { javaScriptEnabled })
        const member = await settings(visitor)
        const bytes = pictureOf(900_000)
        await choose(visitor, bytes)
        await visitor.page.fill('[name=bio]', 'With a picture')
        await submit(visitor)
        assert.equal(visitor.at(), `/profile/${member.username}`)
        assert.equal(await visitor.page.getAttribute('img.user-img', 'src'), urlOf(bytes))
        assert.match(await text(visitor.page, '.user-info p'), /With a picture/)
        // The page is there before its pictures are.
        await waitFor('the browser to show it', async () => {
          const shown = visitor.page.locator('img.user-img')
          return (await shown.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth)) === 1
        })
        for (let clone = 0; clone < 6; clone += 1) {
          const answer = await fetch(given.url + urlOf(bytes))
          assert.equal(answer.status, 200)
          assert.equal(answer.headers.get('content-type'), 'image/png')
          assert.match(answer.headers.get('cache-control') ?? '', /immutable/)
          assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes))
        }
      })
    }

    test('a small square of it is made a moment later, and is gone with the picture', async (t) => {
      const visitor = await visit(t, given)
      await settings(visitor)
      const { page } = visitor
      const bytes = await page.screenshot({ type: 'jpeg', clip: { x: 0, y: 0, width: 600, height: 400 } })
      await choose(visitor, bytes, 'me.jpg', 'image/jpeg')
      await submit(visitor)
      const small = await waitFor('the square', async () => {
        const answer = await visitor.context.request.get('/settings')
        const [, source] = /class="user-pic"\s+src="([^"]+)"/.exec(await answer.text()) ?? []
        return source === urlOf(bytes) ? null : source
      })
      await page.goto('/settings')
      const shown = page.locator('img.user-pic')
      const size = (): Promise<number> => shown.evaluate((image) => (image as any).naturalWidth as number)
      await waitFor('the browser to show it', async () => (await size()) === 128)
      assert.equal(await page.inputValue('[name=image]'), urlOf(bytes))
      await page.click('.user-pic')
      await page.waitForSelector('img.user-img')
      assert.equal(await page.getAttribute('img.user-img', 'src'), urlOf(bytes), 'large where it is seen large')
      await page.goto('/settings')
      await page.fill('[name=bio]', 'The same picture')
      await submit(visitor)
      assert.equal(await page.getAttribute('img.user-pic', 'src'), small)
      await page.goto('/settings')
      await page.fill('[name=image]', 'https://example.invalid/me.png')
      await submit(visitor)
      assert.equal(await page.getAttribute('img.user-pic', 'src'), 'https://example.invalid/me.png')
    })

    test('a picture is answered in parts, by its hash, and for saving where it could act', async () => {
      const bytes = pictureOf(600_000)
      const { cookie } = await signInRaw(given)
      assert.equal((await post(given.url, cookie, form({ picture: { bytes, filename: 'a.png' } }))).status, 303)
      const part = await fetch(given.url + urlOf(bytes), { headers: { range: 'bytes=262000-262300' } })
      assert.equal(part.status, 206)
      assert.equal(part.headers.get('content-range'), 'bytes 262000-262300/600000')
      assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(262_000, 262_301)))
      const etag = part.headers.get('etag') ?? ''
      assert.equal((await fetch(given.url + urlOf(bytes), { headers: { 'if-none-match': etag } })).status, 304)
      const head = await fetch(given.url + urlOf(bytes), { method: 'HEAD' })
      assert.equal(head.headers.get('content-length'), '600000')
      assert.equal((await fetch(`${given.url}/files/${'0'.repeat(64)}`)).status, 404)
      assert.match(head.headers.get('content-security-policy') ?? '', /sandbox/)
    })

    test('what is no picture, lies about it or is too large is refused, and nothing typed is lost', async (t) => {
      const visitor = await visit(t, given)
      const member = await settings(visitor)
      const page = '<!doctype html><script>alert(1)</script>'
      const cases: readonly (readonly [string, Buffer, RegExp])[] = [
        ['lies', Buffer.from(page), /picture must be a PNG, JPEG, GIF, WebP or AVIF image/],
        ['svg', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /picture must be a PNG/],
        ['empty', Buffer.alloc(0), /picture must be a PNG/],
        ['large', pictureOf(limit + 1), /picture is too large \(maximum is 5 MiB\)/],
      ]
      for (const [what, bytes, expected] of cases) {
        await visitor.page.fill('[name=bio]', `typed before ${what}`)
        await choose(visitor, bytes)
        await submit(visitor)
        assert.match(await text(visitor.page, 'ul.error-messages'), expected, what)
        assert.equal(await visitor.page.inputValue('[name=bio]'), `typed before ${what}`)
        assert.equal(await visitor.page.inputValue('[name=username]'), member.username)
        assert.equal((await fetch(given.url + urlOf(bytes))).status, 404, what)
      }
      await choose(visitor, pictureOf(limit))
      await submit(visitor)
      assert.equal(visitor.at(), `/profile/${member.username}`, 'the largest that is taken')
    })

    test('a picture that arrived is kept when something else in the form is wrong', async (t) => {
      const visitor = await visit(t, given)
      await settings(visitor)
      const bytes = pictureOf(10_000)
      await choose(visitor, bytes)
      await visitor.page.fill('[name=email]', '')
      await submit(visitor)
      assert.match(await text(visitor.page, 'ul.error-messages'), /email can't be blank/)
      assert.equal(await visitor.page.inputValue('[name=image]'), urlOf(bytes))
    })

    test('a form that breaks off, has no end or comes from another site changes nothing', async () => {
      const { cookie, member } = await signInRaw(given)
      const whole = form({ bio: 'from a broken form', picture: { bytes: pictureOf(500_000), filename: 'a.png' } })
      for (const size of [whole.length - 30, whole.length - 10_000, 300, 50]) {
        const { status, body } = await post(given.url, cookie, whole.subarray(0, size))
        assert.equal(status, 400, `${size} bytes: ${body.slice(0, 300)}`)
      }
      await breakOff(given.url, cookie, whole)
      assert.equal((await post(given.url, cookie, whole, { origin: 'https://elsewhere.example' })).status, 403)
      assert.equal((await post(given.url, cookie, whole, { 'content-type': 'multipart/form-data' })).status, 400)
      const fields = Object.fromEntries(Array.from({ length: 60 }, (_value, index) => [`field${index}`, 'x']))
      assert.equal((await post(given.url, cookie, form(fields))).status, 413)
      assert.equal((await post(given.url, '', whole)).status, 303, 'to the login')
      const { json } = await given.call('GET', '/user', { token: member.token })
      assert.equal(json.user.bio, null)
      assert.equal(json.user.image, null)
      assert.equal((await post(given.url, cookie, form({ bio: 'whole' }))).status, 303)
    })

    test('the address of a picture elsewhere still serves, also without an upload', async () => {
      const { cookie, member } = await signInRaw(given)
      const image = 'https://example.invalid/me.png'
      const empty = { bytes: Buffer.alloc(0), filename: '' }
      assert.equal((await post(given.url, cookie, form({ image, picture: empty }))).status, 303)
      assert.equal((await given.call('GET', '/user', { token: member.token })).json.user.image, image)
      const plain = { 'content-type': 'application/x-www-form-urlencoded' }
      assert.equal((await post(given.url, cookie, Buffer.from('image='), plain)).status, 303)
      assert.equal((await given.call('GET', '/user', { token: member.token })).json.user.image, null)
    })
  })
}

const boundary = 'ffboundary'

interface Upload {
  readonly bytes: Buffer
  readonly filename: string
}

function form(fields: Readonly<Record<string, string | Upload>>): Buffer {
  const parts = Object.entries(fields).map(([name, value]) => {
    const upload = typeof value === 'string' ? null : value
    const file = upload === null ? '' : `; filename="${upload.filename}"\r\ncontent-type: image/png`
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n`
    return Buffer.concat([Buffer.from(head), upload?.bytes ?? Buffer.from(value as string), Buffer.from('\r\n')])
  })
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])
}

async function signInRaw({ url, call }: Given): Promise<{ cookie: string; member: Member }> {
  const member = await register(call, 'sender')
  const body = new URLSearchParams({ email: member.email, password: member.password })
  const answer = await fetch(`${url}/login`, { method: 'POST', body, redirect: 'manual' })
  assert.equal(answer.status, 303)
  const cookie = answer.headers.getSetCookie().map((line) => line.split(';')[0])
  return { cookie: cookie.join('; '), member }
}

async function post(
  url: string,
  cookie: string,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; body: string }> {
  const type = `multipart/form-data; boundary=${boundary}`
  const answer = await fetch(`${url}/settings`, {
    method: 'POST',
    headers: { 'content-type': type, cookie, ...headers },
    body: Uint8Array.from(body),
    redirect: 'manual',
    signal: AbortSignal.timeout(20_000),
  })
  return { status: answer.status, body: await answer.text() }
}

/** Announces the whole form, sends half of it, and hangs up. */
async function breakOff(url: string, cookie: string, whole: Buffer): Promise<void> {
  const type = `multipart/form-data; boundary=${boundary}`
  const headers = { 'content-type': type, 'content-length': String(whole.length), cookie }
  const request = sendRaw(`${url}/settings`, { method: 'POST', headers })
  const ended = new Promise<IncomingMessage | null>((resolve) => {
    request.once('response', resolve)
    request.once('close', () => resolve(null))
    request.once('error', () => resolve(null))
  })
  await new Promise<void>((resolve) => request.write(whole.subarray(0, whole.length / 2), () => resolve()))
  request.destroy()
  const answer = await ended
  if (answer !== null) await buffer(answer).catch(() => undefined)
}
