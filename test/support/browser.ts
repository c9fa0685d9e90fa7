/** A real browser: Debian's Chromium, without a screen where it is there so, or the one that `CHROMIUM` names. */

import { type Browser, chromium } from 'playwright-core'

import { ensureBrowser } from '../../scripts/services.ts'

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await ensureBrowser(), args: ['--no-sandbox'] })
}
