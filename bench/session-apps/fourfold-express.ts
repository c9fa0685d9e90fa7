/** The same app after the change of its import: `fourfold/express`, over the store that the argument names. */

import { defineApp, open } from 'fourfold'
import session from 'fourfold/express'

import { servePages } from './express/pages.ts'
import { cookieName, secret } from './serve-app.ts'

const store = { deadline: '10s' }
const app = defineApp({ databases: {}, logLevel: 'error', store, sessions: { secrets: [secret] } })
const ff = await open(app, { connections: { databases: {}, storeUrl: process.argv[2] ?? '' }, env: {} })
servePages(session({ ff, secret, name: cookieName, resave: false, saveUninitialized: false }))
