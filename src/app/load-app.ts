/** From a file's path to the app it exports. */

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
    // Not where the file is there, and something that it imports is not.
    const { code, url: missing } = error as { code?: unknown; url?: unknown }
    if (code !== 'ERR_MODULE_NOT_FOUND' || missing !== url.href) throw error
    throw new FourfoldError('FF_APP_INVALID', `There is no file ${file}: name the file that exports the app`, {
      cause: error,
    })
  }
  if (isApp(module.default)) return module.default
  throw new FourfoldError(
    'FF_APP_INVALID',
    `${file} does not export an app: expected "export default defineApp({ … })"`,
  )
}
