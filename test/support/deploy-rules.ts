/**
 * What the files in `deploy/` promise, as rules over their text: nobody runs as root, nothing but the balancer is
 * published, no password is in the repository. Each rule answers what is wrong; a test plants each mistake.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

interface Service {
  readonly image?: string
  readonly user?: string
  readonly read_only?: boolean
  readonly privileged?: boolean
  readonly network_mode?: string
  readonly pid?: string
  readonly cap_add?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly restart?: string
  readonly init?: boolean
  readonly tmpfs?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly networks?: readonly string[]
  readonly secrets?: unknown
  readonly healthcheck?: { readonly test?: unknown }
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition?: string }>>
  readonly stop_grace_period?: string
  readonly deploy?: { readonly resources?: { readonly limits?: Readonly<Record<string, unknown>> } }
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<Record<string, unknown>>
}

export const readCompose = (text: string): Compose => parse(text, { merge: true }) as Compose

/** @param folder where the compose file stands */
export function composeProblems(text: string, example: string, folder: string): string[] {
  const compose = readCompose(text)
  const services = Object.entries(compose.services)
  return [
    ...services.flatMap(([name, service]) => [
      ...userProblems(name, service),
      ...networkProblems(name, service, compose),
      ...mountProblems(name, service, compose, folder),
      ...startProblems(name, service, compose),
    ]),
    ...secretProblems(text, example),
  ]
}

function userProblems(name: string, service: Service): string[] {
  const problems: string[] = []
  const want = (fine: boolean | undefined, what: string): void =>
    void (fine === true || problems.push(`${name}: ${what}`))
  want(/^[1-9]\d*:[1-9]\d*$/.test(service.user ?? ''), 'runs as root, or as a user without a number')
  want(service.read_only, 'can write to its file system')
  want(service.cap_drop?.includes('ALL') && service.cap_add === undefined, 'has capabilities')
  want(service.security_opt?.includes('no-new-privileges:true'), 'may gain privileges')
  want(service.privileged !== true && service.pid === undefined, 'is privileged')
  want(
    service.tmpfs?.every((place) => place.includes(':')),
    'has a tmpfs without limits',
  )
  const limits = service.deploy?.resources?.limits
  want(
    ['cpus', 'memory', 'pids'].every((key) => limits?.[key] !== undefined),
    'has no limits',
  )
  return problems
}

function networkProblems(name: string, { ports, networks, network_mode: mode }: Service, compose: Compose): string[] {
  const problems: string[] = []
  if (ports !== undefined && name !== 'balancer') problems.push(`${name}: is published`)
  if (mode !== undefined || networks === undefined || networks.length === 0)
    problems.push(`${name}: is in no network of its own`)
  for (const network of networks ?? []) {
    if (!(network in compose.networks)) problems.push(`${name}: there is no network ${network}`)
    else if (compose.networks[network]?.internal !== true && name !== 'balancer')
      problems.push(`${name}: is in ${network}, which leads outside`)
  }
  return problems
}

function mountProblems(name: string, { volumes = [], secrets }: Service, compose: Compose, folder: string): string[] {
  // compose refuses secrets that are no files where the file system is read-only.
  const problems = secrets === undefined ? [] : [`${name}: has secrets beside its environment`]
  for (const volume of volumes) {
    const [from = '', , mode] = volume.split(':')
    if (!/^[./]/.test(from)) {
      if (!(from in compose.volumes)) problems.push(`${name}: there is no volume ${from}`)
    } else if (mode !== 'ro') problems.push(`${name}: can write to ${from}`)
    else if (!existsSync(join(folder, from))) problems.push(`${name}: there is no file ${from}`)
  }
  return problems
}

function startProblems(name: string, service: Service, compose: Compose): string[] {
  const { image = '', restart, init, healthcheck, environment = {}, depends_on: needs = {} } = service
  const problems: string[] = []
  const own = image.startsWith('${IMAGE:?') || image.startsWith('${IMAGE_NEXT:-${IMAGE:?')
  if (!own && !/:\d+\.\d+(?:\.\d+)?-[\w.-]+$|@sha256:/.test(image)) problems.push(`${name}: ${image} is not pinned`)
  if (!own && healthcheck?.test === undefined) problems.push(`${name}: has no health check`)
  if (restart !== 'unless-stopped' || init !== true) problems.push(`${name}: does not come back, or has no init`)
  if (service.stop_grace_period === undefined) problems.push(`${name}: is killed after 10 s`)
  const mentioned = Object.keys(compose.services).filter((other) =>
    Object.values(environment).some((value) => new RegExp(`[@=]${other}(?::|$)|^${other}$`).test(value)),
  )
  for (const other of mentioned) {
    if (needs[other]?.condition !== 'service_healthy') problems.push(`${name}: does not wait for ${other}`)
  }
  return problems
}

/** What may be absent: nothing secret. */
const optional = new Set(['PUBLIC_PORT', 'IMAGE_NEXT'])

function secretProblems(text: string, example: string): string[] {
  const problems: string[] = []
  const variables = [...text.matchAll(/(?<!\$)\$\{(\w+)(:[?-])?([^}]*)\}/g)]
  const given = new Map([...example.matchAll(/^(\w+)=(.*)$/gm)].map((match) => [match[1], match[2]]))
  for (const [, name = '', kind] of variables) {
    if (kind !== ':?' && !optional.has(name)) problems.push(`${name} may be absent, or has a default`)
    if (!given.has(name)) problems.push(`${name} is not in .env.example`)
  }
  for (const [name, value] of given) {
    if (/SECRET|PASSWORD/.test(name ?? '') && value !== '') problems.push(`.env.example has a value for ${name}`)
  }
  for (const [, password = ''] of text.matchAll(/:\/\/\w*:([^@\s]+)@/g)) {
    if (!password.startsWith('${')) problems.push('an address has a password in it')
  }
  if (/(?:password|secrets?): +['"]?[^\s$'"]/i.test(text)) problems.push('a password stands in the file')
  return problems
}

interface Instruction {
  readonly name: string
  readonly text: string
}

export function readContainerfile(text: string): Instruction[] {
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...rest] = line.trim().split(/\s+/)
      return { name, text: rest.join(' ') }
    })
}

/** @param nodeVersion the version that this repository is tested with */
export function containerfileProblems(text: string, ignored: string, nodeVersion: string): string[] {
  const all = readContainerfile(text)
  const last = all.slice(all.findLastIndex(({ name }) => name === 'FROM'))
  const find = (name: string): string => last.findLast((each) => each.name === name)?.text ?? ''
  const problems: string[] = []
  const want = (fine: boolean, what: string): void => void (fine || problems.push(what))
  const image = all.find(({ name, text: it }) => name === 'ARG' && it.startsWith('NODE_IMAGE='))?.text ?? ''
  want(image.includes(`node:${nodeVersion}-`) && image.endsWith('-slim'), 'the image of Node is another, or not pinned')
  const stages = all.filter(({ name }) => name === 'FROM').map(({ text: it }) => it.split(' ')[0])
  want(stages.length === 2 && new Set(stages).size === 1 && stages[0] === '${NODE_IMAGE}', 'the stages differ')
  want(/^[1-9]\d*:[1-9]\d*$/.test(find('USER')), 'runs as root, or as a user without a number')
  want(!last.some(({ name }) => name === 'RUN' || name === 'ADD'), 'the image is changed after the release was built')
  const copies = last.filter(({ name }) => name === 'COPY').map(({ text: it }) => it)
  want(copies.length === 1 && copies[0] === '--from=build --chown=0:0 /release /app', 'copies more than the release')
  for (const name of ['ENTRYPOINT', 'CMD']) want(find(name).startsWith('['), `${name} runs in a shell`)
  want(/CMD \[/.test(find('HEALTHCHECK')) && !/curl|wget/.test(find('HEALTHCHECK')), 'has no health check of its own')
  want(find('STOPSIGNAL') === 'SIGTERM', 'is not stopped by SIGTERM')
  want(find('ENV').includes('NODE_ENV=production'), 'is not for production')
  const named = all.filter(({ name }) => name === 'ARG' || name === 'ENV').map(({ text: it }) => it)
  want(!named.some((it) => /(?:SECRET|PASSWORD|TOKEN|_URL)\w*=/.test(it)), 'a secret is part of the image')
  for (const path of ['**/.env', '**/.npmrc', '.git', 'node_modules'])
    want(ignored.split('\n').includes(path), `the builder sees ${path}`)
  return problems
}
