/** Counts its visits in memory: right on one clone, wrong on two. */

import { defineApp, type App } from 'fourfold'

let visits = 0

const app: App = defineApp({
  databases: {},
  server: async () => (_request, response) => {
    visits += 1
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ visits, at: new Date().toISOString() }))
  },
})
export default app
