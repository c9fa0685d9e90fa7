/** The files in `deploy/`: what they promise, as rules with a planted mistake for each, and their settings with real servers. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { database, defineApp } from 'fourfold'

import { inspectConfig } from '../../src/app/config.ts'
import { requireHostSettings, type HostRole } from '../../src/app/roles/host.ts'
import { composeProblems, containerfileProblems, readCompose } from '../support/deploy-rules.ts'
import { root } from '../support/release-project.ts'

const folder = join(root, 'deploy')
const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
const compose = await read('compose.yaml')
const example = await read('.env.example')
const containerfile = await read('Containerfile')
const ignored = await read('Containerfile.containerignore')
const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  devDependencies: { node: string }
}

type Plant = readonly [from: string | RegExp, to: string, problem: string]

suite('compose.yaml', () => {
  test('keeps its promises', () => assert.deepEqual(composeProblems(compose, example, folder), []))

  const plants: readonly Plant[] = [
    ["user: '1000:1000'", "user: '0:0'", 'balancer: runs as root, or as a user without a number'],
    ["user: '999:999'", 'user: postgres', 'postgres: runs as root, or as a user without a number'],
    ['read_only: true', 'read_only: false', 'valkey: can write to its file system'],
    ['cap_drop: [ALL]', 'cap_drop: [NET_RAW]', 'clones: has capabilities'],
    ['cap_drop: [ALL]', 'cap_drop: [ALL]\n  cap_add: [SYS_ADMIN]', 'clones: has capabilities'],
    ['no-new-privileges:true', 'seccomp:unconfined', 'postgres: may gain privileges'],
    ['init: true', 'init: true\n  privileged: true', 'balancer: is privileged'],
    ['/tmp:size=16m,noexec,nosuid,nodev', '/tmp', 'balancer: has a tmpfs without limits'],
    ['memory: 768M, ', '', 'valkey: has no limits'],
    [
      /networks: \[system\]\n {4}healthcheck/,
      "networks: [system]\n    ports: ['6379:6379']\n    healthcheck",
      'valkey: is published',
    ],
    ['networks: [system, data]', 'networks: [system, data, public]', 'clones: is in public, which leads outside'],
    ['data: { internal: true }', 'data: {}', 'postgres: is in data, which leads outside'],
    ['networks: [data]', 'network_mode: host', 'postgres: is in no network of its own'],
    [
      'primary.conf:/etc/postgresql/primary.conf:ro',
      'primary.conf:/etc/postgresql/primary.conf',
      'postgres: can write to ./postgres/primary.conf',
    ],
    ['./valkey/valkey.conf:', './valkey/none.conf:', 'valkey: there is no file ./valkey/none.conf'],
    ['valkey/valkey:8.1.3-bookworm', 'valkey/valkey:latest', 'valkey: docker.io/valkey/valkey:latest is not pinned'],
    ['postgres:18.4-bookworm', 'postgres', 'postgres: docker.io/library/postgres is not pinned'],
    ['healthcheck: *database-healthy', '', 'postgres-replica: has no health check'],
    ['restart: unless-stopped', '', 'balancer: does not come back, or has no init'],
    ['stop_grace_period: 45s', '', 'clones: is killed after 10 s'],
    [
      'postgres: { condition: service_healthy }',
      'postgres: { condition: service_started }',
      'clones: does not wait for postgres',
    ],
    ['${STORE_PASSWORD:?', '${STORE_PASSWORD:-hunter2', 'STORE_PASSWORD may be absent, or has a default'],
    ['${FOURFOLD_SECRETS:?', '${OTHER_SECRETS:?', 'OTHER_SECRETS is not in .env.example'],
    [
      'postgres://app:${APP_PASSWORD:?set APP_PASSWORD in deploy/.env}',
      'postgres://app:hunter2',
      'an address has a password in it',
    ],
    [
      'APP_PASSWORD: ${APP_PASSWORD:?set APP_PASSWORD in deploy/.env}',
      'APP_PASSWORD: hunter2',
      'a password stands in the file',
    ],
    [
      'stop_signal: SIGINT',
      'secrets: [app_password]\n    stop_signal: SIGINT',
      'postgres: has secrets beside its environment',
    ],
  ]
  for (const [from, to, problem] of plants) {
    test(`a mistake is found: ${problem}`, () => {
      const spoilt = compose.replace(from, to)
      assert.notEqual(spoilt, compose)
      const found = composeProblems(spoilt, example, folder)
      assert.ok(found.includes(problem), found.join('\n'))
    })
  }

  test('a mistake is found: a secret in .env.example', () => {
    const spoilt = example.replace('STORE_PASSWORD=', 'STORE_PASSWORD=hunter2')
    assert.deepEqual(composeProblems(compose, spoilt, folder), ['.env.example has a value for STORE_PASSWORD'])
  })

  const app = defineApp({ databases: { main: database() }, clones: { min: 2, max: 8 } })
  for (const role of ['balancer', 'clones'] as const satisfies readonly HostRole[]) {
    test(`gives the role ${role} the settings that it needs, and none that does not exist`, () => {
      const { environment = {}, ...service } = readCompose(compose).services[role]!
      assert.match(JSON.stringify(service), new RegExp(`--role[", ]+${role}`))
      const env = Object.entries(environment).map(([key, value]) => [
        key,
        value.replaceAll(/\$\{[^}]+\}/g, 'x'.repeat(40)),
      ])
      const own = role === 'clones' ? { FOURFOLD_CLONES_ADVERTISE: 'a1b2c3' } : {}
      const { config, warnings } = inspectConfig(app.definition, {
        ...Object.fromEntries(env),
        ...own,
        NODE_ENV: 'production',
      })
      assert.deepEqual(warnings, [])
      requireHostSettings(config, role)
    })
  }
})

suite('Containerfile', () => {
  const check = (text: string, ignore = ignored): string[] => containerfileProblems(text, ignore, devDependencies.node)

  test('keeps its promises', () => assert.deepEqual(check(containerfile), []))

  const plants: readonly Plant[] = [
    [/node:24\.\d+\.\d+/, 'node:24', 'the image of Node is another, or not pinned'],
    [/FROM \$\{NODE_IMAGE\}\n/, 'FROM docker.io/library/node:26-slim\n', 'the stages differ'],
    ['USER 1000:1000', 'USER node', 'runs as root, or as a user without a number'],
    ['USER 1000:1000\n', '', 'runs as root, or as a user without a number'],
    ['USER 1000:1000', 'RUN npm i -g x\nUSER 1000:1000', 'the image is changed after the release was built'],
    ['WORKDIR /app', 'COPY . /app', 'copies more than the release'],
    ['--chown=0:0', '--chown=1000:1000', 'copies more than the release'],
    ['CMD ["start"]', 'CMD start', 'CMD runs in a shell'],
    [/CMD \["node".*health"\]/, 'CMD curl -f localhost', 'has no health check of its own'],
    ['STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGKILL', 'is not stopped by SIGTERM'],
    ['ENV NODE_ENV=production', 'ENV NODE_ENV=development', 'is not for production'],
    ['ARG REVISION=unknown', 'ARG NPM_TOKEN=x', 'a secret is part of the image'],
  ]
  for (const [from, to, problem] of plants) {
    test(`a mistake is found: ${problem}`, () => {
      const spoilt = containerfile.replace(from, to)
      assert.notEqual(spoilt, containerfile)
      assert.ok(check(spoilt).includes(problem), check(spoilt).join('\n'))
    })
  }

  test('a mistake is found: the builder sees .env', () => {
    assert.deepEqual(check(containerfile, ignored.replace('**/.env\n', '')), ['the builder sees **/.env'])
  })

  test('has one list of what the builder never sees, under the names of both builders', async () => {
    assert.equal(await read('Containerfile.dockerignore'), ignored)
  })
})
