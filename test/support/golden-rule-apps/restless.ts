/**
 * Keeps the golden rule, and answers differently each time all the same: ids, times, tokens, a choice of six, an order
 * that nobody promised. Its visits are counted where they belong, in the session.
 */

import { randomBytes, randomInt, randomUUID } from 'node:crypto'

import { defineApp, type App } from 'fourfold'
import { withFourfold } from 'fourfold/node'

const banners = ['Spring sale', 'Summer is near', 'New books', 'Old books', 'Opening hours', 'We are hiring']

const app: App = defineApp({
  databases: {},
  server: async (ff) =>
    withFourfold(ff, async (request, response) => {
      if (request.method === 'POST') {
        const form: Buffer[] = []
        for await (const chunk of request) form.push(chunk as Buffer)
        const token = await request.session.get<string>('csrf')
        const sent = new URLSearchParams(Buffer.concat(form).toString()).get('csrf')
        response
          .writeHead(token !== undefined && token === sent ? 303 : 403, { location: `/done/${randomUUID()}` })
          .end()
        return
      }
      const visits = await request.session.update<number>('visits', (count = 0) => count + 1)
      response.setHeader('last-modified', new Date().toUTCString())
      response.setHeader('x-served-at', String(Date.now()))
      if (request.url === '/api') {
        const items = ['a', 'b', 'c'].toSorted(() => randomInt(3) - 1)
        const some = Array.from({ length: randomInt(1, 4) }, () => randomInt(1000))
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ visits, id: randomUUID(), at: new Date(), items, some, fixed: 'yes' }))
        return
      }
      const csrf = randomBytes(12).toString('base64url')
      request.session.set('csrf', csrf)
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.setHeader('etag', `"${randomInt(1e9)}"`)
      response.end(`<!doctype html>
<title>Restless</title>
<p class="banner">${banners[randomInt(banners.length)]}</p>
<p>Visit ${visits}, rendered in ${(Math.random() * 9).toFixed(1)} ms at ${new Date().toLocaleTimeString('en')}</p>
<form method="post"><input type="hidden" name="csrf" value="${csrf}"></form>
<script nonce="${randomBytes(8).toString('base64')}">start()</script>
`)
    }),
})
export default app
