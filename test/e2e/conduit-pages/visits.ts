/** What the pages' tests are given, and how they visit pages. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { Call, Member, RunningConduit } from '../../support/conduit.ts'

/** A running Conduit and a browser. Filled before the first test. */
export interface Given extends RunningConduit {
  call: Call
  browser: Browser
}

export interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  /** The path of the page that is shown. */
  readonly at: () => string
}

/** A browser of its own, that fails the test where a page's script or policy fails. */
export async function visit(
  t: TestContext,
  { browser, url }: Given,
  options: { javaScriptEnabled?: boolean } = {},
): Promise<Visit> {
  const context = await browser.newContext({ baseURL: url, ...options })
  t.after(() => context.close())
  context.setDefaultTimeout(10_000)
  const page = await context.newPage()
  const failures: string[] = []
  page.on('pageerror', (error) => failures.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && message.text().includes('Content Security Policy')) failures.push(message.text())
  })
  t.after(() => assert.deepEqual(failures, []))
  return { page, context, at: () => decodeURIComponent(page.url().slice(url.length)) }
}

export async function signIn({ page, at }: Visit, member: Member): Promise<void> {
  await page.goto('/login')
  await page.fill('[name=email]', member.email)
  await page.fill('[name=password]', member.password)
  await page.click('button[type=submit]')
  await page.waitForURL('/')
  assert.equal(at(), '/')
}

export const count = (page: Page, selector: string): Promise<number> => page.locator(selector).count()
export const text = async (page: Page, selector: string): Promise<string> => (await page.innerText(selector)).trim()
