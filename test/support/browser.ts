/** A real browser: Debian's Chromium, or the one that `CHROMIUM` names. */

import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export async function launchBrowser(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? places.find((place) => existsSync(place))
  if (executablePath === undefined)
    throw new Error(`No browser: install chromium, or name one by CHROMIUM (looked at ${places.join(', ')})`)
  return chromium.launch({ executablePath, args: ['--no-sandbox'] })
}
