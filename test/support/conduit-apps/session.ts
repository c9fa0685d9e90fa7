/** Conduit with its API at `session`, too: each reader is promised only their own writes. */
import { defineConduit } from '../../../examples/conduit/src/app.ts'

export default defineConduit({ api: 'session', pages: 'session' })
