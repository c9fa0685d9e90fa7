/** The files of `public/`, and the script that fills in what is personal: read once, when the app is loaded. */
import { fragmentsScript } from 'fourfold/client'
import { loadAssets } from './pages/assets.ts'

export const publicFiles = await loadAssets(new URL('../public/', import.meta.url), { 'fragments.js': fragmentsScript })
