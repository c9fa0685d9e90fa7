/** nginx and Varnish with the settings that the guide gives, on free ports of the loopback. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { findProgram, freePort } from '../../scripts/services.ts'
import { endAfter, makeDirectory, type Cleanup } from './postgres.ts'
import { waitFor } from './wait-for.ts'

const guide = new URL('../../docs/guides/pages.md', import.meta.url)

/** Whether it is here, installed where that is allowed. In CI a missing one is an error; elsewhere a loud line. */
export async function hasServer(name: 'nginx' | 'varnish'): Promise<boolean> {
  const found =
    name === 'nginx'
      ? await findProgram('nginx', ['nginx'])
      : // The module of surrogate keys is a package of its own, and brings the server.
        await findProgram('varnish-modules', ['varnishd'])
  if (found !== null) return true
  const advice = `No ${name} here. Install it: "apt-get install ${name === 'nginx' ? name : 'varnish varnish-modules'}"`
  if (process.env['CI'] !== undefined) throw new Error(`${advice} In CI this is an error.`)
  console.error(`\n!!! SKIPPING everything that needs ${name}. ${advice}\n`)
  return false
}

/** Serves a directory as the guide says, and asks `appPort` for what is not there. Answers its address. */
export async function startNginx(t: Cleanup, root: string, appPort: number): Promise<string> {
  const directory = await makeDirectory(t, 'ff-nginx-')
  const port = await freePort()
  const site = (await guideBlock('nginx'))
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('/srv/pages', root)
    .replace('127.0.0.1:8080', `127.0.0.1:${appPort}`)
  const file = join(directory, 'nginx.conf')
  await writeFile(file, nginxFrame(directory, site))
  await run(t, 'nginx', ['-p', directory, '-c', file], `http://127.0.0.1:${port}/`)
  return `http://127.0.0.1:${port}`
}

/** Stands in front of an app as the guide says. Answers its address. */
export async function startVarnish(t: Cleanup, appPort: number): Promise<string> {
  const directory = await makeDirectory(t, 'ff-varnish-')
  const port = await freePort()
  const file = join(directory, 'default.vcl')
  await writeFile(file, (await guideBlock('vcl')).replace('"8080"', `"${appPort}"`))
  const storage = ['-s', 'malloc,16m', '-n', join(directory, 'work')]
  const args = ['-F', '-f', file, '-a', `127.0.0.1:${port}`, ...storage, '-j', 'none', '-T', 'none']
  await run(t, 'varnishd', args, `http://127.0.0.1:${port}/`)
  return `http://127.0.0.1:${port}`
}

/** The first block of this language: what people copy is what is tested. */
async function guideBlock(language: string): Promise<string> {
  const found = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(await readFile(guide, 'utf8'))?.[1]
  if (found === undefined) throw new Error(`expected a block of ${language} in ${guide.pathname}`)
  return found
}

async function run(t: Cleanup, name: string, args: readonly string[], url: string): Promise<void> {
  const program = (await findProgram(name, [name])) ?? name
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  endAfter(t, () => end(child))
  await waitFor(`${name} to answer`, async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${errors}`)
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => null)
    await answer?.body?.cancel()
    return answer !== null
  })
}

/** Both have a child that does the work and goes with them when they are asked to end. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** What a distribution's own settings have around a site; readable as whoever the test is. */
const nginxFrame = (directory: string, site: string): string => `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
  types {
    text/html html;
    text/xml xml;
    application/json json;
  }
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  ${site}
}
`
