/** Conduit without freshness tokens: at `eventual`, nobody is promised their own writes. */
import { defineConduit } from '../../../examples/conduit/src/app.ts'

export default defineConduit({ api: 'eventual', pages: 'eventual' })
