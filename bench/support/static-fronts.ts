/** Others that answer documents which are there already: nginx from files, Varnish from memory, and bare `node:http`. */

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { findProgram, freePort } from '../../scripts/services.ts'

/** By its path: compressed with gzip. */
export type Documents = ReadonlyMap<string, Buffer>

export interface StaticFront {
  readonly child: ChildProcess
  readonly port: number
  clean(): Promise<void>
}

/** One worker, every file open already, both forms of each beside each other. Null where it is not installed and may not be. */
export async function startNginxFiles(documents: Documents): Promise<StaticFront | null> {
  const program = await findProgram('nginx', ['nginx'])
  if (program === null) return null
  const directory = await mkdtemp(join(tmpdir(), 'ff-nginx-pages-'))
  const port = await freePort()
  for (const [path, gzip] of documents) {
    const file = join(directory, 'pages', `${path}.html`)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, gunzipSync(gzip))
    await writeFile(`${file}.gz`, gzip)
  }
  await writeFile(join(directory, 'nginx.conf'), nginxSettings(directory, port))
  const child = spawn(program, ['-p', directory, '-c', join(directory, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return { child, port, clean: () => rm(directory, { recursive: true, force: true }) }
}

const nginxSettings = (directory: string, port: number): string => `
user root;
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10000 inactive=1h;
  open_file_cache_valid 1h;
  open_file_cache_min_uses 1;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  keepalive_requests 100000000;
  types { text/html html; }
  server {
    listen 127.0.0.1:${port};
    root ${directory}/pages;
    location / {
      gzip_static on;
      add_header Cache-Control "public, no-cache";
      try_files $uri.html =404;
    }
  }
}
`

/** In front of whoever has them; from the second time on it answers from memory. */
export async function startVarnish(backend: number): Promise<StaticFront | null> {
  const program = await findProgram('varnish-modules', ['varnishd'])
  if (program === null) return null
  const directory = await mkdtemp(join(tmpdir(), 'ff-varnish-'))
  const port = await freePort()
  const vcl = join(directory, 'pages.vcl')
  await writeFile(
    vcl,
    `vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "${backend}"; }
# Before what Varnish does by itself, which would keep nothing that browsers have to ask for again.
sub vcl_backend_response { set beresp.ttl = 1h; return (deliver); }
`,
  )
  const args = ['-F', '-j', 'none', '-a', `127.0.0.1:${port}`, '-T', 'none', '-f', vcl, '-s', 'malloc,256m']
  const child = spawn(program, [...args, '-n', join(directory, 'work')], { stdio: ['ignore', 'ignore', 'ignore'] })
  return { child, port, clean: () => rm(directory, { recursive: true, force: true }) }
}

/** What answering costs in Node, with nothing decided: run as a process of its own. */
export async function serveBare(documents: Documents): Promise<number> {
  const headers = [
    ...['content-type', 'text/html; charset=utf-8', 'cache-control', 'public, no-cache', 'etag', '"1"'],
    ...['vary', 'accept-encoding', 'content-encoding', 'gzip'],
  ]
  const server = createServer((request, response) => {
    const body = documents.get(request.url ?? '')
    if (body === undefined) return void response.writeHead(404).end()
    response.writeHead(200, [...headers, 'content-length', String(body.length)])
    response.end(body)
  })
  server.keepAliveTimeout = 60_000
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return port
}
