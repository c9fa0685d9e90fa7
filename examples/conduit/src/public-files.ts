/** The files of `public/`, and what Fourfold has for browsers: read once, when the app is loaded. */
import { fragmentsScript, jobsModule } from 'fourfold/client'
import { loadAssets } from './pages/assets.ts'

export const publicFiles = await loadAssets(new URL('../public/', import.meta.url), {
  'fragments.js': fragmentsScript,
  'jobs.js': jobsModule,
})
