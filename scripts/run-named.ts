/** Runs one script of a folder by its name, in a process of its own, from source: what `bench` and `verify` share. */

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'

/**
 * Runs `folder/NAME.ts` with the arguments that stand behind the name, and answers its exit code. Without a name, or
 * with one that does not exist, the names are listed.
 */
export async function runNamed(folder: string, args: readonly string[]): Promise<number> {
  const names = globSync(join(folder, '*.ts'))
    .map((path) => basename(path, '.ts'))
    .toSorted()
  const name = args.find((arg) => !arg.startsWith('-'))
  if (name === undefined || !names.includes(name)) {
    if (name !== undefined) console.error(`There is no ${name} in ${folder}/.`)
    console.log(names.length === 0 ? `${folder}/ is empty.` : `In ${folder}/: ${names.join(', ')}`)
    return name === undefined ? 0 : 1
  }
  const rest = args.toSpliced(args.indexOf(name), 1)
  const child = spawn(process.execPath, ['-C', 'fourfold:source', join(folder, `${name}.ts`), ...rest], {
    stdio: 'inherit',
  })
  // The terminal sends its signals to the child too; this process only waits for it to end.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
  })
}
