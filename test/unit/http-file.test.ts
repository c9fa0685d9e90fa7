/** Reading `.http` files: what editors write, and what is said about mistakes. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { parseHttpFile } from '../../src/cli/check/http-file.ts'
import { fillIn, type Known } from '../../src/cli/check/text.ts'

import type { Script, ScriptRequest, Text } from '../../src/cli/check/script.ts'

const read = (source: string, more: object = {}): Script => parseHttpFile(source, { file: 'x.http', ...more })

const filled = (script: Script, text: Text | null, known: Partial<Known> = {}): string =>
  fillIn(text ?? [], { variables: script.variables, answers: new Map(), captured: new Map(), ...known }).toString()

function only(
  source: string,
  more: object = {},
): { script: Script; request: ScriptRequest; body: string; target: string } {
  const script = read(source, more)
  assert.equal(script.requests.length, 1)
  const request = script.requests[0]!
  return { script, request, body: filled(script, request.body), target: filled(script, request.target) }
}

suite('.http files', () => {
  test('requests with names, variables, headers and bodies are read, each with its line', () => {
    const script = read(`@base = http://localhost:3000
@article = {{base}}/articles/1

### signs in
# @name login
POST {{base}}/login HTTP/1.1
Content-Type: application/json
# a comment between headers
Accept: */*

{
  "name": "Ada"
}

###
// @user grace
// @no-cookie-jar
GET {{article}}
    ?page=2
    &size=10

### only a comment
# nothing here
`)
    const [login, article] = script.requests
    assert.equal(script.requests.length, 2)
    assert.deepEqual(
      [login!.place, login!.title, login!.name, login!.method],
      ['x.http:6', 'signs in', 'login', 'POST'],
    )
    assert.deepEqual(login!.headers, [
      ['Content-Type', ['application/json']],
      ['Accept', ['*/*']],
    ])
    assert.equal(filled(script, login!.body), '{\n  "name": "Ada"\n}')
    assert.deepEqual([article!.user, article!.cookies, article!.body], ['grace', false, null])
    assert.equal(filled(script, article!.target), 'http://localhost:3000/articles/1?page=2&size=10')
  })

  test('a line with an address alone is a GET', () => {
    assert.deepEqual([only('/notes').request.method, only('/notes').target], ['GET', '/notes'])
    assert.equal(only('http://localhost/a b').target, 'http://localhost/a b')
  })

  test('a form over several lines is one line, a multipart body keeps its line ends', () => {
    const form = only('POST /f\nContent-Type: application/x-www-form-urlencoded\n\na=1\n&b=2')
    assert.equal(form.body, 'a=1&b=2')
    const parts = only('POST /f\nContent-Type: multipart/form-data; boundary=x\n\n--x\n\n1\n--x--\n')
    assert.equal(parts.body, '--x\r\n\r\n1\r\n--x--')
  })

  test('a body may come from a file, with variables where the file is marked so', () => {
    const files: Record<string, string> = { './a.json': '{"a":{{x}}}' }
    const more = { read: (path: string) => Buffer.from(files[path] ?? assert.fail()) }
    assert.equal(only('@x = 7\nPOST /f\n\n< ./a.json', more).body, '{"a":{{x}}}')
    assert.equal(only('@x = 7\nPOST /f\n\n<@ ./a.json', more).body, '{"a":7}')
  })

  test('values are taken from earlier answers: JSON, headers, captures', () => {
    const script = read(`# @name made
# @capture csrf = /name="csrf" value="(.+?)"/
POST /articles
###
PUT {{made.response.headers.Location}}?csrf={{csrf}}

{{made.response.body.$.article.tags[1]}} {{made.response.body.*}}`)
    const body = Buffer.from('{"article":{"tags":["a",{"b":1}]}}')
    const made = { status: 201, headers: [['location', '/articles/9']] as const, body, failure: null }
    const known = { answers: new Map([['made', made]]), captured: new Map([['csrf', 'abc']]) }
    const { target, body: sent } = script.requests[1]!
    assert.equal(filled(script, target, known), '/articles/9?csrf=abc')
    assert.equal(filled(script, sent, known), `{"b":1} ${body.toString()}`)
    const empty = new Map([['made', { ...made, status: 401, headers: [], body: Buffer.from('no') }]])
    assert.throws(
      () => filled(script, sent, { answers: empty }),
      /"made" was answered 401, and holds no json \$\.article/,
    )
  })

  test('values of the system are drawn once, so that every run sends the same', () => {
    const { script, request } = only('GET /x?{{$guid}}&{{$randomInt 5 6}}&{{$processEnv HOME_TOWN}}', {
      env: { HOME_TOWN: 'Bath' },
    })
    const first = filled(script, request.target)
    assert.match(first, /^\/x\?[\da-f-]{36}&5&Bath$/)
    assert.equal(filled(script, request.target), first)
  })

  test('variables given from outside win over the file', () => {
    assert.equal(only('@id = 1\nGET /{{id}}', { variables: { id: '2' } }).target, '/2')
  })

  const mistakes: readonly (readonly [what: string, source: string, message: RegExp])[] = [
    ['no request at all', '# nothing\n@a = 1\n', /^x\.http: there is no request in it$/],
    ['an empty file', '', /^x\.http: there is no request/],
    ['a request line that is none', '###\nhello', /^x\.http:2: expected a request such as "GET \/path", got "hello"/],
    [
      'a header that is none',
      'GET /x\nAccept text',
      /^x\.http:2: expected a header .*an empty line comes before the body/,
    ],
    ['an unknown variable', '\nGET /{{nobody}}', /^x\.http:2: there is no variable "nobody"/],
    [
      'a variable made of itself',
      '@a = {{b}}\n@b = {{a}}\nGET /{{a}}',
      /^x\.http:3: the variable "[ab]" is made of itself/,
    ],
    [
      'an answer of nobody',
      'GET /{{later.response.body.$.id}}\n###\n# @name later\nGET /',
      /^x\.http:1: no request before .*"later"/,
    ],
    [
      'a path to many values',
      '# @name a\nGET /\n###\nGET /{{a.response.body.$..id}}',
      /^x\.http:4: .*expected a path to one value/,
    ],
    ['a value of the system that is none', 'GET /{{$nothing}}', /^x\.http:1: \{\{\$nothing\}\} is not known here/],
    ['a name used twice', '# @name a\nGET /\n###\n# @name a\nGET /', /^x\.http:5: two requests have the name "a"/],
    ['a script', 'GET /\n\n> {% client.test() %}', /^x\.http:3: scripts are not run here/],
    ['a question', '# @prompt code\nGET /', /^x\.http:1: @prompt asks somebody/],
    ['a regular expression', '# @capture a = /(/\nGET /', /^x\.http:1: the regular expression cannot be read/],
    ['a file that is not there', 'POST /\n\n< ./none', /^x\.http:3: the file \.\/none cannot be read/],
  ]
  for (const [what, source, message] of mistakes) {
    test(`a mistake is told with its line: ${what}`, () => {
      assert.throws(() => read(source), { code: 'FF_CHECK_SCRIPT', message })
    })
  }
})
