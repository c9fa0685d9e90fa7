/** The target, the host and the authority: who is asked, and for what. */

import { behind, forwarded, refused, type Case } from './case.ts'

const kettle = 'Kettle 2017 "Cracking the lens"'

const hosts: readonly (readonly [what: string, lines: string, source: string])[] = [
  ['no host', 'X: y', 'RFC 9112 3.2'],
  ['two hosts', 'Host: a\r\nHost: b', 'RFC 9112 3.2; Chen et al. 2016 "Host of Troubles"'],
  ['the same host twice', 'Host: a\r\nHost: a', 'RFC 9112 3.2'],
  [
    'a host with a blank before its name',
    'X: y\r\n Host: b\r\nHost: a',
    'Chen et al. 2016; Kettle 2025 (visible/hidden)',
  ],
  ['a host with a blank before its colon', 'Host : a', 'RFC 9112 5.1; Kettle 2025'],
  ['a list of hosts', 'Host: a, b', 'RFC 9112 3.2; Chen et al. 2016'],
  ['userinfo in the host', 'Host: good@evil', `RFC 9110 4.2.4; ${kettle}`],
  ['a path in the host', 'Host: a/b', 'RFC 9112 3.2; Http11Probe'],
  ['a query in the host', 'Host: a?b', 'RFC 9112 3.2'],
  ['a fragment in the host', 'Host: a#b', 'RFC 9112 3.2; CVE-2023-45539 (HAProxy) family'],
  ['a backslash in the host', 'Host: a\\b', kettle],
  ['a blank in the host', 'Host: a b', 'RFC 9112 3.2'],
  ['quotes in the host', 'Host: a"b', 'breaks out of Forwarded: host="…" (RFC 7239 4)'],
  ['markup in the host', 'Host: <a>', 'host header injection'],
  ['a port that is no number', 'Host: a:b', `RFC 3986 3.2.3; ${kettle} ("a:@evil")`],
  ['two ports', 'Host: a:1:2', 'RFC 3986 3.2'],
  ['a port over 65535', 'Host: a:99999', 'RFC 3986 3.2.3'],
  ['half a bracket', 'Host: [::1', 'RFC 3986 3.2.2'],
  ['a name behind an address in brackets', 'Host: [::1]evil', 'RFC 3986 3.2.2'],
  ['brackets around a name', 'Host: [evil]', 'RFC 3986 3.2.2'],
  ['bytes beyond ASCII in the host', 'Host: \xe4', 'RFC 9110 4.2'],
]

const targets: readonly (readonly [what: string, target: string, source: string])[] = [
  ['no slash', 'case', 'RFC 9112 3.2.1'],
  ['an at sign before the path', '@evil/case', kettle],
  ['a colon before the path', ':80/case', kettle],
  ['a star', '*', 'RFC 9112 3.2.4: only for OPTIONS'],
  ['an authority', 'evil:443', 'RFC 9112 3.2.3: only for CONNECT'],
  ['a fragment', '/case#x', 'CVE-2023-45539 (HAProxy): # in the target'],
  ['a backslash for the first slash', '\\case', kettle],
  ['a backslash in the path', '/\\evil/case', 'WHATWG URL reads it as //evil'],
  ['userinfo in an absolute target', 'http://good@evil/case', 'RFC 9110 4.2.4'],
  ['no host in an absolute target', 'http:///case', 'RFC 9110 4.2.1'],
  ['only a port in an absolute target', 'http://:80/case', 'RFC 9110 4.2.1'],
  ['a backslash in the authority', 'http://good\\evil/case', kettle],
  ['another scheme', 'ftp://a/case', 'RFC 9112 3.2.2'],
  ['a script', 'javascript:alert(1)', 'RFC 9112 3.2.2'],
  ['a file', 'file:///etc/passwd', 'RFC 9112 3.2.2'],
  ['one slash in an absolute target', 'http:/a/case', 'RFC 3986 3'],
  ['a fragment in an absolute target', 'http://a/case#x', 'RFC 9112 3.2.2'],
]

const methods: readonly (readonly [what: string, bytes: string, source: string])[] = [
  ['CONNECT', 'CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n', 'RFC 9110 9.3.6; CVE-2023-25950 family'],
  ['CONNECT with a path', 'CONNECT /case HTTP/1.1\r\nHost: a\r\n\r\n', 'RFC 9112 3.2.3'],
  ['CONNECT with a length', `CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n${behind}`, 'RFC 9110 9.3.6'],
  ['TRACE', 'TRACE /case HTTP/1.1\r\nHost: a\r\n\r\n', 'RFC 9110 9.3.8: cross-site tracing'],
  ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 'RFC 9110 9.3.7: about the server, and no clone is it'],
]

export const targetCases: readonly Case[] = [
  ...hosts.map(([what, lines, source]): Case => ({
    name: `a request with ${what}`,
    source,
    bytes: `GET /case HTTP/1.1\r\n${lines}\r\n\r\n${behind}`,
    expect: refused,
  })),
  ...targets.map(([what, target, source]): Case => ({
    name: `a target with ${what}`,
    source,
    bytes: `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n${behind}`,
    expect: refused,
  })),
  ...methods.map(([what, bytes, source]): Case => ({ name: what, source, bytes, expect: refused })),
  {
    name: 'an absolute target replaces the host',
    source: 'RFC 9112 3.2.2; Chen et al. 2016',
    bytes: 'GET http://good:81/case?x=1 HTTP/1.1\r\nHost: evil\r\n\r\n',
    expect: forwarded('GET /case?x=1', '', { host: ['good:81'], 'x-forwarded-host': ['good:81'] }),
  },
  {
    name: 'an absolute target does not excuse a host that is none',
    source: 'RFC 9112 3.2: any invalid Host is refused',
    bytes: 'GET http://good/case HTTP/1.1\r\nHost: e/vil\r\n\r\n',
    expect: refused,
  },
  {
    name: 'an absolute target without a path',
    source: 'RFC 9112 3.2.1: an empty path is sent as /',
    bytes: 'GET HTTP://good?x=1 HTTP/1.1\r\nHost: a\r\n\r\n',
    expect: forwarded('GET /?x=1', '', { host: ['good'] }),
  },
  {
    name: 'a path of two slashes stays a path',
    source: 'RFC 9112 3.2.1: the origin form is a path, whatever URL parsers make of it',
    bytes: 'GET //evil/case HTTP/1.1\r\nHost: a\r\n\r\n',
    expect: forwarded('GET //evil/case', '', { host: ['a'] }),
  },
  {
    name: 'a URL in the path stays a path',
    source: kettle,
    bytes: 'GET /http://evil/case HTTP/1.1\r\nHost: a\r\n\r\n',
    expect: forwarded('GET /http://evil/case', '', { host: ['a'] }),
  },
  {
    name: 'percent-encoded line breaks stay encoded',
    source: 'CVE-2023-25690 (Apache), CVE-2022-31150 (undici): request splitting',
    bytes: 'GET /a%0d%0aX:%20y?%00%0a HTTP/1.1\r\nHost: a\r\n\r\n',
    expect: forwarded('GET /a%0d%0aX:%20y?%00%0a', '', { x: [] }),
  },
  {
    name: 'bytes that become line breaks when cut to eight bits',
    source: 'CVE-2018-12116 (Node): request splitting by Unicode',
    bytes: 'GET /\xc4\x8d\xc4\x8aX HTTP/1.1\r\nHost: a\r\n\r\n',
    expect: refused,
  },
  {
    name: 'dot segments are left for the clone',
    source: 'RFC 3986 5.2.4: the balancer has no rules by path to go round',
    bytes: 'GET /a/../.fourfold/%68ealth HTTP/1.1\r\nHost: a\r\n\r\n',
    expect: forwarded('GET /a/../.fourfold/%68ealth'),
  },
  {
    name: 'an address in brackets is a host',
    source: 'RFC 3986 3.2.2',
    bytes: 'GET /case HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n',
    expect: forwarded('GET /case', '', { host: ['[2001:db8::1]:8080'] }),
  },
  {
    name: 'an empty host is a host',
    source: 'RFC 9110 7.2: for targets without an authority',
    bytes: 'GET /case HTTP/1.1\r\nHost:\r\n\r\n',
    expect: forwarded('GET /case', '', { host: [''] }),
  },
  {
    name: 'HTTP/1.0 needs no host, and is answered and closed',
    source: 'RFC 9112 3.2, 9.3',
    bytes: `GET /case HTTP/1.0\r\n\r\n${behind}`,
    expect: forwarded('GET /case', '', { host: [''] }),
  },
  {
    name: 'another method in a header is for the app',
    source: 'method override: X-HTTP-Method-Override',
    bytes: 'POST /case HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n',
    expect: forwarded('POST /case', '', { 'x-http-method-override': ['DELETE'] }),
  },
]
