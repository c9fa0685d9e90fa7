/**
 * `npm run check`: every static check, one line each, and the output of those that fail. Give names to run only
 * some: `npm run check -- lint types`.
 */

import { spawn } from 'node:child_process'

interface Step {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
}

const steps: readonly Step[] = [
  { name: 'format', command: 'oxfmt', args: ['--check'] },
  { name: 'lint', command: 'oxlint', args: [] },
  { name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'build', command: 'tsc', args: ['-p', 'tsconfig.build.json'] },
  { name: 'example-types', command: 'tsc', args: ['-p', 'examples/notes'] },
  { name: 'express-types', command: 'tsc', args: ['-p', 'examples/express'] },
  { name: 'docs', command: 'node', args: ['-C', 'fourfold:source', 'scripts/docs.ts', '--check'] },
  { name: 'dead-code', command: 'knip', args: ['--no-progress', '--no-config-hints'] },
  { name: 'licences', command: 'node', args: ['scripts/licences.ts'] },
  { name: 'package', command: 'publint', args: ['--strict'] },
  { name: 'package-types', command: 'attw', args: ['--pack', '.', '--profile', 'esm-only', '--no-emoji'] },
]

async function run({ command, args }: Step): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      chunks.push(Buffer.from(`${error.message}\n`))
      resolve(1)
    })
    child.once('close', (exitCode) => resolve(exitCode ?? 1))
  })
  return { code, output: Buffer.concat(chunks).toString() }
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name))
if (unknown.length > 0) {
  console.error(`No such check: ${unknown.join(', ')}. There are: ${steps.map(({ name }) => name).join(', ')}`)
  process.exit(1)
}

const failed: string[] = []
for (const step of steps.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const began = performance.now()
  const { code, output } = await run(step)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${step.name.padEnd(14)} ${seconds.padStart(5)} s`)
  if (code !== 0) {
    failed.push(step.name)
    console.log(output.trimEnd().replaceAll(/^/gm, '        '))
  }
}
console.log(failed.length === 0 ? 'All checks passed.' : `Failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
