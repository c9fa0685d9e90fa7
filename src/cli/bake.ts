/** `fourfold bake`: asks the workers of the system that runs. */

import { createProgressBar } from './progress-bar.ts'
import { loadCommand, type CommonOptions } from './settings.ts'
import { orderBakes, type BakeRequest } from '../app/bake-order.ts'
import { FourfoldError } from '../core/errors.ts'

export interface BakeOptions extends CommonOptions {
  readonly all?: boolean
  readonly path?: string
}

/** Bakes what is over or missing, everything, or one address; resolves when it is done. @throws FF_PAGE_WORKERS, FF_PAGE_BAKE */
export async function bake(file: string, options: BakeOptions): Promise<void> {
  const { config, log } = await loadCommand(file, options)
  const begun = performance.now()
  const bar = createProgressBar()
  let result
  try {
    result = await orderBakes({ config, request: requestOf(options), onProgress: bar.update, log })
  } finally {
    bar.finish()
  }
  const { baked, failed, errors, status } = result
  console.log(`baked ${baked} in ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  for (const { what, error, failures } of status.failures) console.log(`  fails (${failures} times): ${what}: ${error}`)
  if (failed === 0) return
  const more = failed > errors.length ? `\n  and ${failed - errors.length} more` : ''
  const message = `${failed} could not be baked; what was baked before stays:\n  ${errors.join('\n  ')}${more}`
  throw new FourfoldError('FF_PAGE_BAKE', message, { fields: { failed } })
}

function requestOf({ all = false, path }: BakeOptions): BakeRequest {
  if (path === undefined) return { kind: all ? 'all' : 'over' }
  if (path.startsWith('/')) return { kind: 'one', path }
  throw new FourfoldError('FF_PAGE_BAKE', `--path: expected an address such as /article/a, got ${path}`)
}
