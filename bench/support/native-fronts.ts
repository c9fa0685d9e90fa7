/** nginx and HAProxy as fronts: one worker each, as the Node fronts have, with connections to the backends kept. */

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { findProgram, freePort } from '../../scripts/services.ts'

export interface NativeFront {
  readonly child: ChildProcess
  readonly port: number
  /** Takes its files away, once it has ended. */
  clean(): Promise<void>
}

interface Settings {
  readonly directory: string
  readonly port: number
  readonly backends: readonly number[]
}

/** Starts one; null where it is not installed and may not be. */
export async function startNative(name: 'nginx' | 'haproxy', backends: readonly number[]): Promise<NativeFront | null> {
  const program = await findProgram(name, [name])
  if (program === null) return null
  const directory = await mkdtemp(join(tmpdir(), `ff-${name}-`))
  const port = await freePort()
  const file = join(directory, `${name}.conf`)
  const settings = { directory, port, backends }
  await writeFile(file, name === 'nginx' ? nginxSettings(settings) : haproxySettings(settings))
  const args = name === 'nginx' ? ['-p', directory, '-c', file] : ['-db', '-f', file]
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  return { child, port, clean: () => rm(directory, { recursive: true, force: true }) }
}

const nginxSettings = ({ directory, port, backends }: Settings): string => `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  keepalive_requests 100000000;
  upstream clones {
    ${backends.map((backend) => `server 127.0.0.1:${backend};`).join(' ')}
    keepalive 64;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://clones;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`

const haproxySettings = ({ port, backends }: Settings): string => `
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
frontend public
  bind 127.0.0.1:${port}
  default_backend clones
backend clones
  http-reuse always
${backends.map((backend) => `  server clone-${backend} 127.0.0.1:${backend}`).join('\n')}
`
