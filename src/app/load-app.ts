/** From a file's path to the app it exports. */

import { readFile } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { isApp, type App } from './define-app.ts'
import { FourfoldError } from '../core/errors.ts'

/** Imports a file whose default export is an app. @throws FF_APP_INVALID */
export async function loadApp(file: string): Promise<App> {
  const url = pathToFileURL(resolve(file))
  let module: { default?: unknown }
  try {
    module = (await import(url.href)) as { default?: unknown }
  } catch (error) {
    throw (await whyNot(error, file, url.href)) ?? error
  }
  if (isApp(module.default)) return module.default
  throw new FourfoldError(
    'FF_APP_INVALID',
    `${file} does not export an app: expected "export default defineApp({ … })"`,
  )
}

/** What is to be done about it, where that is known. */
async function whyNot(error: unknown, file: string, url: string): Promise<FourfoldError | null> {
  // Not where the file is there, and something that it imports is not.
  const { code, url: missing } = error as { code?: unknown; url?: unknown }
  if (code === 'ERR_MODULE_NOT_FOUND' && missing === url) {
    const message = `There is no file ${file}: name the file that exports the app`
    return new FourfoldError('FF_APP_INVALID', message, { cause: error })
  }
  const found = error instanceof SyntaxError ? await packageOfCommonJs(error) : null
  if (found === null) return null
  const message = `${found.path} is a module, and ${found.package} says "type": "commonjs", as npm init writes it: npm pkg set type=module`
  return new FourfoldError('FF_APP_INVALID', message, { cause: error })
}

/** The file that could not be parsed stands in the first line of the stack. */
async function packageOfCommonJs(error: SyntaxError): Promise<{ path: string; package: string } | null> {
  const path = /^(\/.*):\d+$/m.exec(error.stack ?? '')?.[1]
  const found = path === undefined ? undefined : findPackageJSON(pathToFileURL(path))
  if (path === undefined || found === undefined) return null
  const { type } = JSON.parse(await readFile(found, 'utf8')) as { type?: unknown }
  return type === 'commonjs' && /\b(?:import|export)\b/.test(error.message) ? { path, package: found } : null
}
