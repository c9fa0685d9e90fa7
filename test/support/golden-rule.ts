/** The golden-rule check as the command runs it, on the apps in `golden-rule-apps`, for tests. */

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { resolveConfig } from '../../src/app/config.ts'
import { loadApp } from '../../src/app/load-app.ts'
import { checkGoldenRule, type CheckOptions } from '../../src/cli/check/golden-rule.ts'
import { parseHttpFile } from '../../src/cli/check/http-file.ts'
import { silentLogger } from '../../src/core/log.ts'

import type { Findings } from '../../src/cli/check/findings.ts'

export const appFolder: URL = new URL('golden-rule-apps/', import.meta.url)

/** Checks the app of this name, or in this file, with this script. */
export async function checkApp(
  name: string | URL,
  source: string,
  more: Partial<CheckOptions> = {},
): Promise<Findings> {
  const appFile = fileURLToPath(name instanceof URL ? name : new URL(`${name}.ts`, appFolder))
  const app = await loadApp(appFile)
  const config = resolveConfig(app.definition, {})
  return await checkGoldenRule({
    app,
    appFile,
    config,
    script: parseHttpFile(source, { file: `${name instanceof URL ? 'requests' : name}.http` }),
    clones: 3,
    ways: 3,
    external: false,
    seed: true,
    writes: config.clones.writes,
    timeoutMs: 30_000,
    ignored: { headers: new Set(), json: [], lines: [] },
    ignoredWrites: [],
    log: silentLogger,
    signal: new AbortController().signal,
    ...more,
  })
}

/** The script beside the app of this name. */
export const scriptOf = (name: string): Promise<string> => readFile(new URL(`${name}.http`, appFolder), 'utf8')

/** `line place: cause`, each once. */
export function told({ differences }: Findings): string[] {
  return differences.map(({ request, place, cause }) => `${request.place.split(':')[1]} ${place}: ${cause}`)
}
