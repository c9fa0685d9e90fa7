/** express-session over connect-redis on Express 5, with the options that its documentation recommends. */

import { createRequire } from 'node:module'

import { RedisStore } from 'connect-redis'
import type { RequestHandler } from 'express'
import { createClient } from 'redis'

import { servePages } from './express/pages.ts'
import { cookieName, secret } from './serve-app.ts'

// It brings no types, and theirs would stand beside ours on one name.
const session = createRequire(import.meta.url)('express-session') as (options: object) => RequestHandler

const client = createClient({ url: process.argv[2] ?? '' })
await client.connect()
const store = new RedisStore({ client })
servePages(session({ secret, name: cookieName, store, resave: false, saveUninitialized: false }))
